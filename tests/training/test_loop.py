"""The fit loop: schedules, selection, stopping, and that an interruption changes nothing."""

import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, ReduceLROnPlateau

from lib.base.errors import OsteoBookError, SettingError
from lib.training import loop as training
from lib.training.checkpoints import load_weights, save_weights
from lib.training.loop import (
    Fit,
    TrainingDiverged,
    autocast_dtype,
    fit,
    pick_device,
    seed_everything,
)


def small_model() -> nn.Module:
    seed_everything(7)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Conv2d(4, 1, 1)
    )


def batches(epoch: int):
    """Three random batches that depend on the epoch alone."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(3):
        x = torch.rand(4, 1, 8, 8, generator=generator)
        yield x, (x > 0.5).float()


def loss(model, batch, epoch):
    x, y = batch
    value = (torch.sigmoid(model(x).float()) - y).square().mean()
    return {"loss": value, "square": value, "alpha": 0.5 * epoch}


def validate(model, epoch):
    x, y = next(iter(batches(1000)))
    return {"loss": (torch.sigmoid(model(x).float()) - y).square().mean().item()}


def settings(model, epochs=6, **others) -> Fit:
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    return Fit(optimizer, epochs, seed=3, **others)


def test_history_has_one_row_an_epoch_with_means_and_recorded_values():
    model = small_model()
    history = fit(model, batches, loss, settings(model), validate)
    assert list(history) == [
        *("epoch", "learning_rate", "train_loss", "train_square", "alpha", "val_loss")
    ]
    assert history["epoch"].tolist() == list(range(6))
    assert history["alpha"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


def test_train_loss_is_the_mean_over_batches():
    model = nn.Conv2d(1, 1, 1)
    frozen = Fit(torch.optim.SGD(model.parameters(), 0.0), 1, seed=0)
    with torch.no_grad():
        expected = torch.stack([loss(model, batch, 0)["loss"] for batch in batches(0)]).mean()
    history = fit(model, batches, loss, frozen)
    # bfloat16 keeps three digits of the logits
    assert history["train_loss"].item() == pytest.approx(expected.item(), rel=1e-2)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "batch", "none"])
@pytest.mark.parametrize("stop_after", [1, 4])
def test_interrupted_training_ends_the_same_to_the_last_bit(
    tmp_path, monkeypatch, schedule, stop_after
):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)

    def run(report, folder):
        model = small_model()
        fitting = settings(model, monitor="val_loss", keep_best=True)
        fitting.scheduler = {
            "plateau": lambda o: ReduceLROnPlateau(o, factor=0.5, patience=0),
            "cosine": lambda o: CosineAnnealingLR(o, 6),
            "batch": lambda o: LambdaLR(o, lambda step: 1 / (1 + step)),
            "none": lambda o: None,
        }[schedule](fitting.optimizer)
        fitting.step_scheduler_each_batch = schedule == "batch"
        history = fit(model, batches, loss, fitting, validate, folder, report)
        return history, model.state_dict()

    def interrupt(epochs):
        if epochs == stop_after + 1:  # the checkpoint of this epoch is not yet written
            raise Interrupted

    whole, weights = run(lambda epochs: None, None)
    with pytest.raises(Interrupted):
        run(interrupt, tmp_path)
    seen = []
    resumed, resumed_weights = run(seen.append, tmp_path)
    assert seen[0] == stop_after + 1, "the finished epochs must not be repeated"
    pd.testing.assert_frame_equal(whole, resumed, check_exact=True)
    assert all(torch.equal(weights[name], resumed_weights[name]) for name in weights)


def test_a_damaged_checkpoint_means_starting_over(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"half a file")
    model = small_model()
    assert len(fit(model, batches, loss, settings(model), validate, tmp_path)) == 6


def scripted(values):
    """A validation that returns these values in turn."""
    return lambda model, epoch: {"dice": values[epoch]}


def test_early_stopping_counts_epochs_without_improvement():
    model = small_model()
    values = [0.1, 0.5, 0.4, 0.5, 0.3, 0.9]
    stopping = settings(model, monitor="val_dice", maximise=True, patience=3)
    assert len(fit(model, batches, loss, stopping, scripted(values))) == 5


def test_stop_sees_the_history_and_ends_the_training():
    seen = []

    def stop(history):
        seen.append(history["val_dice"].tolist())
        return history["val_dice"].iloc[-1] > 0.45

    model = small_model()
    history = fit(model, batches, loss, settings(model, stop=stop), scripted([0.1, 0.3, 0.5, 0.2]))
    assert history["val_dice"].tolist() == [0.1, 0.3, 0.5]
    assert seen == [[0.1], [0.1, 0.3], [0.1, 0.3, 0.5]], "once an epoch, never without a row"


def test_a_stopped_training_is_over_also_when_it_is_continued(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)

    def run():
        model, reported = small_model(), []
        over = settings(model, stop=lambda history: len(history) == 2)
        history = fit(model, batches, loss, over, None, tmp_path, reported.append)
        return history, model.state_dict(), reported

    (first, weights, reported), (again, same, nothing) = run(), run()
    assert (reported, nothing) == ([1, 2], [])
    pd.testing.assert_frame_equal(first, again, check_exact=True)
    assert all(torch.equal(value, same[name]) for name, value in weights.items())


@pytest.mark.parametrize(("keep_best", "expected"), [(True, 2), (False, 5)])
def test_selection_returns_the_weights_of_the_best_or_last_epoch(keep_best, expected):
    model = small_model()
    seen = []

    def remember(model, epoch):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return {"dice": [0.1, 0.2, 0.7, 0.3, 0.4, 0.6][epoch]}

    choice = settings(model, monitor="val_dice", maximise=True, keep_best=keep_best)
    fit(model, batches, loss, choice, remember)
    assert all(torch.equal(v, seen[expected][k]) for k, v in model.state_dict().items())


def test_parameter_groups_keep_their_own_learning_rates():
    model = small_model()
    before = [p.clone() for p in model.parameters()]
    groups = [
        {"params": model[0].parameters(), "lr": 0.0},
        {"params": model[3].parameters(), "lr": 0.05},
    ]
    fit(model, batches, loss, Fit(torch.optim.AdamW(groups, weight_decay=0.0), 1, seed=0))
    after = list(model.parameters())
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[-2], after[-2])


def test_plateau_lowers_the_rate_when_the_monitor_stalls():
    model = small_model()
    fitting = settings(model, monitor="val_dice", maximise=True)
    fitting.scheduler = ReduceLROnPlateau(fitting.optimizer, "max", factor=0.1, patience=1)
    history = fit(model, batches, loss, fitting, scripted([0.5] * 6))
    assert history["learning_rate"].tolist() == pytest.approx([0.02] * 3 + [0.002] * 2 + [0.0002])


def test_divergence_is_one_clear_error():
    model = small_model()
    broken = lambda m, b, e: {"loss": loss(m, b, e)["loss"] * float("nan")}  # noqa: E731
    with pytest.raises(TrainingDiverged, match="epoch 0.*learning rate"):
        fit(model, batches, broken, settings(model))


def test_no_batches_is_one_clear_error():
    model = small_model()
    with pytest.raises(OsteoBookError, match="no batch"):
        fit(model, lambda epoch: [], loss, settings(model))


def test_an_unknown_monitor_names_the_known_ones():
    model = small_model()
    with pytest.raises(SettingError, match="train_loss"):
        fit(model, batches, loss, settings(model, monitor="val_dise"), validate)


def test_patience_without_a_monitor_is_refused():
    with pytest.raises(SettingError, match="monitor"):
        settings(small_model(), patience=2)


def test_devices():
    assert pick_device("cpu") == "cpu"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(SettingError, match="tpu"):
        pick_device("tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is present")
def test_asking_for_an_absent_gpu_is_one_clear_error():
    with pytest.raises(SettingError, match="device=auto"):
        pick_device("cuda")


def test_mixed_precision_leaves_weights_and_loss_in_float32():
    model = small_model()
    seen = {}

    def spying(model, batch, epoch):
        terms = loss(model, batch, epoch)
        seen["output"], seen["loss"] = model(batch[0]).dtype, terms["loss"].dtype
        return terms

    fit(model, batches, spying, settings(model, epochs=1))
    assert seen == {"output": autocast_dtype("cpu") or torch.float32, "loss": torch.float32}
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_weights_survive_a_round_trip_and_foreign_ones_are_refused(tmp_path):
    model, path = small_model(), tmp_path / "weights.safetensors"
    save_weights(path, model)
    copy = load_weights(path, small_model().requires_grad_(False))
    assert all(torch.equal(v, copy.state_dict()[k]) for k, v in model.state_dict().items())
    with pytest.raises(OsteoBookError, match="weights.safetensors.*Conv2d"):
        load_weights(path, nn.Conv2d(1, 1, 1))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(OsteoBookError, match="run again"):
        load_weights(path, model)
