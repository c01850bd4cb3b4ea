"""Adaptive average pooling whose gradient is deterministic on CUDA, where torch has no such one."""

import torch
from torch import Tensor, nn


class AveragePool(nn.AdaptiveAvgPool2d):
    """torch's pooling, computed on CUDA as two products with matrices that average.

    >>> AveragePool(1)(torch.arange(4.0).reshape(1, 1, 2, 2))
    tensor([[[[1.5000]]]])
    """

    def forward(self, x: Tensor) -> Tensor:
        """B x C x H x W -> B x C x h x w."""
        if not x.is_cuda:
            return super().forward(x)
        return pool_by_products(x, self.output_size)  # type: ignore[arg-type]  # no None in ours


def pool_by_products(x: Tensor, size: int | tuple[int, int]) -> Tensor:
    """B x C x H x W -> B x C x h x w, the means of the same cells as ``AdaptiveAvgPool2d``.

    >>> pool_by_products(torch.arange(4.0).reshape(1, 1, 2, 2), (1, 2))
    tensor([[[[1., 2.]]]])
    """
    height, width = (size, size) if isinstance(size, int) else size
    rows = _averages(x.shape[-2], height, x.device)
    columns = _averages(x.shape[-1], width, x.device)
    with torch.autocast(x.device.type, enabled=False):
        return (rows @ x.float() @ columns.T).to(x.dtype)


def _averages(length: int, cells: int, device: torch.device) -> Tensor:
    """cells x length: each row averages one cell; neighbouring cells may share an element."""
    cell = torch.arange(cells, device=device)[:, None]
    place = torch.arange(length, device=device)
    inside = (place >= cell * length // cells) & (place < -(-(cell + 1) * length // cells))
    return inside / inside.sum(1, keepdim=True)


def deterministic_pooling(model: nn.Module) -> None:
    """Let every adaptive average pooling of ``model`` be one of these, in place.

    >>> model = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    >>> deterministic_pooling(model)
    >>> model
    Sequential(
      (0): AveragePool(output_size=1)
    )
    """
    for module in model.modules():
        if type(module) is nn.AdaptiveAvgPool2d:
            module.__class__ = AveragePool
