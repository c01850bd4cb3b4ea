"""Weights and training states in single safetensors files, written whole or not at all."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from lib.base.errors import OsteoBookError
from lib.base.files import replacing


@dataclass
class TrainingState:
    """The part of a training that its model, optimizer and scheduler do not hold."""

    epoch: int = 0
    history: list[dict] = field(default_factory=list)
    best_value: float = float("-inf")
    epochs_since_best: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the state dict of ``model``."""
    with replacing(path) as temporary:
        temporary.write_bytes(save(_storable(model.state_dict())))


def load_weights(path: Path, model: nn.Module) -> nn.Module:
    """Read a state dict into ``model`` and return it.

    Raises:
        OsteoBookError: if the file is damaged or belongs to another network.
    """
    try:
        model.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise OsteoBookError(
            f"{path}: found {error}; expected the weights of {type(model).__name__}. "
            "Fix: delete its folder and run again."
        ) from error
    return model


def save_checkpoint(path: Path, model: nn.Module, settings, state: TrainingState) -> None:
    """Write model, optimizer, scheduler and state as tensors plus JSON in the file's header."""
    optimizer = settings.optimizer.state_dict()
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in state.best_weights.items()}
    for index, slots in optimizer["state"].items():
        tensors |= {f"optimizer.{index}.{k}": v for k, v in slots.items()}
    header = {
        "epoch": state.epoch,
        "history": state.history,
        "best_value": state.best_value,
        "epochs_since_best": state.epochs_since_best,
        "param_groups": optimizer["param_groups"],
        "scheduler": settings.scheduler.state_dict() if settings.scheduler else None,
    }
    with replacing(path) as temporary:
        temporary.write_bytes(save(_storable(tensors), {"state": json.dumps(header)}))


def load_checkpoint(path: Path, model: nn.Module, settings) -> TrainingState:
    """Bring model, optimizer and scheduler to where the checkpoint left them.

    A missing or damaged file means starting over: the epochs are repeated with the same result.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return TrainingState()
    model.load_state_dict(_below("model.", tensors))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below("optimizer.", tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = tensor
    settings.optimizer.load_state_dict({"state": slots, "param_groups": header["param_groups"]})
    _restore_memory_order(settings.optimizer)
    if settings.scheduler:
        settings.scheduler.load_state_dict(header["scheduler"])
    return TrainingState(
        header["epoch"],
        header["history"],
        header["best_value"],
        header["epochs_since_best"],
        _below("best.", tensors),
    )


def _restore_memory_order(optimizer: torch.optim.Optimizer) -> None:
    """Give each optimizer moment its parameter's memory format.

    Mixed formats select kernels that round differently.
    """
    for parameter, slots in optimizer.state.items():
        for name, value in slots.items():
            if value.shape == parameter.shape:
                slots[name] = torch.empty_like(parameter).copy_(value)


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _storable(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Row-major copies: safetensors refuses channels-last and shared memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
