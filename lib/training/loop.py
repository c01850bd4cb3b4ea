"""Seeding, devices, and one supervised fit loop that an interruption cannot change."""

import ctypes
import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lib.base.errors import OsteoBookError, SettingError
from lib.base.files import explained
from lib.training.checkpoints import TrainingState, load_checkpoint, save_checkpoint

# Writing a checkpoint after every epoch would cost more than a short epoch itself.
CHECKPOINT_SECONDS = float(os.environ.get("OSTEOBOOK_CHECKPOINT_SECONDS", 20))
PROGRESS = "progress"  # file with the number of finished epochs


class TrainingDiverged(OsteoBookError):
    """The loss is no longer finite."""


def seed_everything(seed: int, epoch: int = 0) -> None:
    """Seed Python, NumPy and torch from (seed, epoch).

    Reseeding at the start of every epoch makes an epoch a function of (seed, epoch) alone, so a
    resumed training repeats exactly what an uninterrupted one does.
    """
    mixed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - libraries still draw from the global generator
    torch.manual_seed(mixed)


def pick_device(device: str) -> str:
    """``auto`` -> ``cuda`` when there is one, else ``cpu``; anything else must exist.

    Raises:
        SettingError: if the device is unknown or absent.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise SettingError(f"device: found {device!r}; expected auto, cpu or cuda.")
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise SettingError("device: cuda was asked for but torch sees no GPU. Fix: device=auto.")
    return "cuda" if present and device != "cpu" else "cpu"


def autocast_dtype(device: str) -> torch.dtype | None:
    """bfloat16 where the device computes it natively (1.3x to 3x faster here), else None."""
    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if native else None


def mixed_precision(device: str) -> torch.autocast:
    """Context in which networks run in bfloat16 where that is native; losses stay in float32."""
    dtype = autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=dtype is not None)


def set_deterministic(on: bool = True) -> None:
    """Let CUDA use deterministic kernels only; an operation that has none is then an error.

    CPU results are deterministic either way. Every worker process calls this.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.use_deterministic_algorithms(on)
    torch.utils.deterministic.fill_uninitialized_memory = False  # costs time, changes no result
    torch.backends.cudnn.benchmark = not on


def keep_freed_memory() -> None:
    """Stop glibc from returning freed activations to the system after every step.

    The page faults of getting them back slowed CPU training up to sevenfold. Elsewhere a no-op.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mmap_max, trim_threshold, top_pad = -4, -1, -2
    for option, value in ((mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 256 << 20)):
        mallopt(option, value)


@dataclass
class Fit:
    """What ``fit`` needs besides model and data.

    Attributes:
        optimizer: any torch optimizer; parameter groups carry their own learning rates.
        epochs: upper limit.
        seed: source of everything random inside an epoch.
        device: ``cpu`` or ``cuda``.
        scheduler: any torch scheduler, stepped once per epoch (a plateau scheduler with the
            monitored value), or once per batch if ``step_scheduler_each_batch``.
        monitor: name of a history column for plateau, early stopping and selection.
        maximise: whether a larger monitored value is better.
        keep_best: end with the weights of the best monitored epoch instead of the last.
        patience: epochs without improvement before stopping; None never stops early.
        stop: (history so far, one row per epoch) -> whether this was the last epoch.
    """

    optimizer: torch.optim.Optimizer
    epochs: int
    seed: int
    device: str = "cpu"
    scheduler: object | None = None
    step_scheduler_each_batch: bool = False
    monitor: str | None = None
    maximise: bool = False
    keep_best: bool = False
    patience: int | None = None
    stop: Callable[[pd.DataFrame], bool] | None = None

    def __post_init__(self):
        needs_monitor = (
            self.keep_best
            or self.patience is not None
            or isinstance(self.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        )
        if needs_monitor and self.monitor is None:
            raise SettingError("monitor: a plateau schedule, early stopping and keep_best need it.")


def fit(
    model: nn.Module,
    batches: Callable[[int], Iterable],
    loss: Callable[[nn.Module, tuple, int], dict[str, Tensor | float]],
    settings: Fit,
    validate: Callable[[nn.Module, int], dict[str, float]] | None = None,
    folder: Path | None = None,
    report: Callable[[int], None] = lambda epochs_done: None,
) -> pd.DataFrame:
    """Train ``model`` in place and return its history, one row per epoch.

    Args:
        model: on any device; it is moved to ``settings.device``.
        batches: epoch -> iterable of tuples of CPU tensors, a function of the epoch alone.
        loss: (model, batch on the device, epoch) -> named scalars; ``loss`` is minimised. Tensors
            are averaged over the epoch into ``train_<name>``; plain floats are recorded as named.
        validate: (model in eval mode, epoch) -> named floats, recorded as ``val_<name>``.
        folder: where a checkpoint is kept; an existing one is continued. The caller deletes it.
        report: called with the number of finished epochs.

    Raises:
        TrainingDiverged: if the loss of an epoch is not finite.
    """
    model.to(settings.device, memory_format=torch.channels_last)
    checkpoint = folder / "checkpoint.safetensors" if folder else None
    state = load_checkpoint(checkpoint, model, settings) if checkpoint else TrainingState()
    saved_at = time.monotonic()
    while state.epoch < settings.epochs and not _is_over(state, settings):
        seed_everything(settings.seed, 1 + state.epoch)
        row = {"epoch": state.epoch, "learning_rate": settings.optimizer.param_groups[0]["lr"]}
        row |= _train_epoch(model, batches(state.epoch), loss, settings, state.epoch)
        if validate:
            row |= {f"val_{k}": v for k, v in _evaluated(model, validate, settings, state.epoch)}
        state.history.append(row)
        _remember_best(state, model, row, settings)
        _step_scheduler(row, settings)
        state.epoch += 1
        report(state.epoch)
        if checkpoint and time.monotonic() - saved_at > CHECKPOINT_SECONDS:
            save_checkpoint(checkpoint, model, settings, state)
            saved_at = time.monotonic()
    if settings.keep_best and state.best_weights:
        model.load_state_dict(state.best_weights)
    return pd.DataFrame(state.history)


def report_to(folder: Path) -> Callable[[int], None]:
    """A callback for ``fit`` that lets other processes see the finished epochs."""

    def report(epochs: int) -> None:
        with explained(folder):
            (folder / PROGRESS).write_text(str(epochs))

    return report


def to_device(batch: tuple, device: str) -> tuple:
    """Every tensor of a batch on the device; images in channels-last order, as the weights are."""

    def placed(tensor: Tensor) -> Tensor:
        layout = torch.channels_last if tensor.dim() == 4 else torch.preserve_format
        return tensor.to(device, non_blocking=True, memory_format=layout)

    return tuple(placed(t) if isinstance(t, Tensor) else t for t in batch)


def _train_epoch(model, batches, loss, settings: Fit, epoch: int) -> dict[str, float]:
    """One pass over the batches -> means of the loss terms, and recorded floats."""
    model.train()
    sums: dict[str, Tensor] = {}
    recorded: dict[str, float] = {}
    count = 0
    for batch in batches:
        batch = to_device(batch, settings.device)
        with mixed_precision(settings.device):
            terms = loss(model, batch, epoch)
        settings.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        settings.optimizer.step()
        if settings.step_scheduler_each_batch:
            settings.scheduler.step()
        count += 1
        for name, value in terms.items():
            if isinstance(value, Tensor):
                sums[name] = sums.get(name, 0) + value.detach().float()
            else:
                recorded[name] = value
    if not count:
        raise OsteoBookError(
            "training: found no batch; expected at least one full batch of cases. "
            "Fix: bring more training cases or choose a smaller batch size."
        )
    means = {f"train_{name}": (total / count).item() for name, total in sums.items()}
    if not np.isfinite(means["train_loss"]):
        raise TrainingDiverged(
            f"loss: found {means['train_loss']} in epoch {epoch}; expected a finite number. "
            "Fix: lower the learning rate, and check the data: `python -m lib.app.check_data`."
        )
    return means | recorded


def _evaluated(model: nn.Module, validate, settings: Fit, epoch: int):
    """Names and values of the validation, in the precision of the training."""
    model.eval()
    with mixed_precision(settings.device), torch.no_grad():
        return validate(model, epoch).items()


def _remember_best(state: TrainingState, model: nn.Module, row: dict, settings: Fit) -> None:
    """Track the monitored value, and the weights that go with it where they are wanted."""
    if settings.monitor is None:
        return
    if settings.monitor not in row:
        raise SettingError(
            f"monitor: found {settings.monitor!r}; expected one of {', '.join(sorted(row))}."
        )
    value = row[settings.monitor] * (1 if settings.maximise else -1)
    if value > state.best_value:
        state.best_value, state.epochs_since_best = value, 0
        if settings.keep_best:
            state.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
    else:
        state.epochs_since_best += 1


def _is_over(state: TrainingState, settings: Fit) -> bool:
    """Whether an epoch, of this run or an interrupted one before it, was the last."""
    if settings.patience is not None and state.epochs_since_best >= settings.patience:
        return True
    wanted = settings.stop is not None and state.history
    return bool(wanted) and settings.stop(pd.DataFrame(state.history))


def _step_scheduler(row: dict, settings: Fit) -> None:
    if settings.scheduler is None or settings.step_scheduler_each_batch:
        return
    if isinstance(settings.scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        settings.scheduler.step(row[settings.monitor])
    else:
        settings.scheduler.step()
