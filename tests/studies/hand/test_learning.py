"""Pre-training, classifier and ablations of the hand study on a few drawn patches."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.data.bone_patches import read_patches
from lib.engine import supervised as engine
from lib.losses.self_supervised import UNLABELLED, swav
from lib.models.view_encoder import ViewEncoder
from lib.studies.hand import learning as hand_learning, supervised as hand_supervised
from lib.studies.hand.data import BONES, load_cases, split_cases
from lib.studies.hand.learning import compared, cosine_factor, learning, loss_terms
from lib.studies.hand.methods import METHODS, Pretraining
from lib.studies.hand.patches import batches, load
from lib.studies.hand.probe import Probe, augmented, encode, metrics, patch_input, train_probe
from lib.studies.hand.trials import SupervisedTrial
from tests.make.hand_patches import WITHOUT_M5, learning_trial, make_hand_fixture

TRIAL = learning_trial()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Data root and the folder of the trials."""
    root = tmp_path_factory.mktemp("hand")
    make_hand_fixture(root, root / "trials")
    return root, root / "trials"


@pytest.fixture(scope="module")
def data(places):
    return load(TRIAL, str(places[0]), places[1])


def run(places, name, **changes):
    trial, folder = replace(TRIAL, **changes), places[1] / name
    folder.mkdir(exist_ok=True)
    hand_learning.train(trial, str(places[0]), folder)
    return folder


# --- what is learnt from -------------------------------------------------------------------------


def test_parts_share_no_subject(places, data):
    cases = load_cases(str(places[0]))
    parts = split_cases(cases, TRIAL.seed)
    assert set(data.trained.rows) == set(parts["train"])
    assert set(data.tested.rows) == {*parts["val"], *parts["test"]}
    held = set(data.table["subject"])
    assert held.isdisjoint(cases["subject"].iloc[data.trained.rows])
    assert np.isnan(data.label[data.trained.rows]).any()  # images without a label take part
    assert not data.training["label"].isna().any()
    assert len(data.labelled().images) == len(data.training)


def test_table_describes_the_tested_patches(places, data):
    cases, bones = load_cases(str(places[0])), pd.read_csv(places[1] / "mose/bones.csv")
    known = bones.set_index(["row", "bone"])["entropy"]
    for place, row in enumerate(data.table.itertuples()):
        number, bone = data.tested.rows[place], BONES[data.tested.bones[place]]
        assert (row.case, row.bone) == (cases["case"].iloc[number], bone)
        assert row.label == cases["osteoporosis"].iloc[number]
        assert row.entropy == known[number, bone]
    assert data.held().sum() == (data.table["split"] == "val").sum() > 0


def test_absent_bones_have_no_patch(places):
    patches = read_patches(places[1] / "mose/patches.npz")
    assert BONES.index("m5") not in patches.bones[patches.rows == WITHOUT_M5]


def test_without_segmentation_whole_images_are_tested(places):
    data = load(replace(TRIAL, variant="unsegmented"), str(places[0]), places[1])
    assert set(data.trained.bones) == {-1} and set(data.table["bone"]) == {"image"}
    assert len(data.table) == data.table["subject"].nunique()
    assert data.table["entropy"].isna().all()
    assert (np.bincount(data.trained.rows)[np.unique(data.trained.rows)] == 7).all()


def test_batches_depend_on_the_epoch_alone():
    rows = np.arange(11)
    made = batches((rows,), size=4, steps=5, seed=1)
    first, again, other = ([b[0].tolist() for b in made(epoch)] for epoch in (0, 0, 1))
    assert first == again != other
    assert [len(set(batch)) for batch in first] == [4] * 5
    assert set(first[0]).isdisjoint(first[1])  # one pass over the rows


# --- pre-training --------------------------------------------------------------------------------


def test_learning_rate_warms_up_and_ends_low():
    factors = [cosine_factor(step, warm_up=4, total=24) for step in range(25)]
    np.testing.assert_allclose(factors[:5], [0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[14] == pytest.approx(0.001 + 0.999 / 2)  # half of the cosine
    assert factors[24] == pytest.approx(0.001)
    assert all(a > b for a, b in zip(factors[4:], factors[5:], strict=False))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gets_its_loss_and_monitors(data, method):
    torch.manual_seed(0)
    prototypes = 8 if METHODS[method].prototypes else 0
    model = ViewEncoder("resnet18", None, METHODS[method].head, prototypes, queue=4)
    chosen = data.trained.select(slice(0, 4))
    labels = torch.tensor([0, 1, UNLABELLED, 0])
    batch = torch.from_numpy(chosen.images), torch.from_numpy(chosen.masks), labels
    terms = loss_terms(replace(TRIAL, method=method), model, batch, epoch=0)
    terms["loss"].backward()
    assert terms["loss"].isfinite() and model.encoder.network.conv1.weight.grad.abs().sum() > 0
    assert ("prototype_use" in terms) == (method == "swav")
    assert terms["feature_sd"] > 0 and 0 <= terms["empty_share"] <= 1
    if method == "swav":
        assert model.prototypes.weight.grad is None  # frozen in the first epoch
        assert int(model.prototypes.queued) == 4


def test_queue_enters_after_its_epoch():
    torch.manual_seed(0)
    model = ViewEncoder("resnet18", prototypes=8, queue=4)
    z = torch.randn(6, 4, 128)
    model.prototypes.remember(torch.randn(6, 4, 128))
    _, queue = compared(model.prototypes, z, epoch=14, epochs=200)
    assert queue is None
    model.prototypes.remember(torch.randn(6, 4, 128))
    before = model.prototypes.remembered()
    cosines, queue = compared(model.prototypes, z, epoch=15, epochs=200)
    torch.testing.assert_close(queue, before)
    assert not torch.allclose(swav(cosines, queue=queue), swav(cosines))


def invariance(views):
    """A loss of another project."""
    return (views[0] - views[1]).square().mean()


def test_a_loss_of_crops_is_one_line(data, monkeypatch):
    monkeypatch.setitem(METHODS, "invariance", Pretraining(invariance))
    trial = replace(TRIAL, method="invariance")
    model = hand_learning.build(trial, data)
    history = engine.learn(learning(trial, model, data), model)
    assert (history["train_loss"] > 0).all() and history["prototype_use"].isna().all()


def test_interrupted_pretraining_ends_the_same(data, tmp_path, monkeypatch):
    monkeypatch.setattr("lib.training.loop.CHECKPOINT_SECONDS", -1)
    trial = replace(TRIAL, method="swav", epochs=3)
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()

    def pretrain(folder):
        torch.manual_seed(0)
        model = hand_learning.build(trial, data)
        return model, engine.learn(learning(trial, model, data), model, folder)

    whole, history = pretrain(tmp_path / "a")

    class Interrupted(Exception):
        pass

    def report(folder):
        def stop(epochs):
            if epochs == 3:  # the second epoch's checkpoint is written
                raise Interrupted

        return stop

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr(engine, "report_to", report)
        pretrain(tmp_path / "b")
    resumed, again = pretrain(tmp_path / "b")
    pd.testing.assert_frame_equal(history, again)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


# --- classification ------------------------------------------------------------------------------


def test_patch_input_is_resized_and_normalised():
    images = torch.full((1, 4, 4), 51, dtype=torch.uint8)
    x = patch_input(images, 8)
    assert x.shape == (1, 3, 8, 8)
    torch.testing.assert_close(x[0, 1], torch.full((8, 8), (0.2 - 0.456) / 0.224))


def test_augmented_patches_stay_on_black():
    torch.manual_seed(0)
    black = patch_input(torch.zeros((5, 12, 12), dtype=torch.uint8), 12)
    torch.testing.assert_close(augmented(black), black)
    images = torch.zeros((5, 12, 12), dtype=torch.uint8)
    images[:, 5:7, 5:7] = 255
    x = patch_input(images, 12)
    assert not torch.allclose(augmented(x)[0], augmented(x)[1])
    torch.testing.assert_close(augmented(x).mean(), x.mean(), rtol=0.1, atol=0.02)


def test_codes_do_not_depend_on_the_batch(data):
    model = ViewEncoder("resnet18")
    images = data.tested.images[:3]
    together = encode(model.encoder, images, TRIAL)
    alone = np.concatenate([encode(model.encoder, image[None], TRIAL) for image in images])
    assert together.shape == (3, 512)
    np.testing.assert_allclose(together, alone, rtol=0.05, atol=0.01)


def test_probe_learns_what_is_linear():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    codes = rng.normal(0, 1, (60, 8)).astype(np.float32)
    codes[:, 2] += 6 * labels
    table = pd.DataFrame({"split": "val", "subject": np.arange(60) // 2 * 2 + labels})
    table["label"] = labels
    probe, curves = train_probe(replace(TRIAL, probe_epochs=30), codes, labels, codes, table)
    assert list(curves) == ["epoch", "train_loss", "val_f1"] and len(curves) == 30
    with torch.no_grad():
        right = probe(torch.from_numpy(codes)).argmax(1).numpy() == labels
    assert right.mean() > 0.95 and curves["val_f1"].max() > 0.95
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]


def test_probe_starts_undecided():
    codes = torch.randn(5, 3)
    torch.testing.assert_close(Probe(codes)(codes), torch.zeros(5, 2))


def test_metrics_of_a_subject_by_hand():
    rows = [("val", "v", 1, 0.9), ("test", "a", 1, 0.9), ("test", "a", 1, 0.2)]
    rows += [("test", "b", 1, 0.3), ("test", "c", 0, 0.6), ("test", "d", 0, 0.1)]
    predictions = pd.DataFrame(rows, columns=["split", "subject", "label", "probability"])
    found = metrics(TRIAL, predictions).set_index("metric")["value"]
    # a 0.55 found, b missed, c false alarm, d right
    expected = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "auc": 0.5, "accuracy": 0.5}
    for name, value in (expected | {"undefined": 0}).items():
        assert found[name] == pytest.approx(value), name


def test_nobody_called_ill_is_counted():
    predictions = pd.DataFrame({"split": "test", "subject": list("abc"), "label": [0, 1, 0]})
    found = metrics(TRIAL, predictions.assign(probability=0.2)).set_index("metric")["value"]
    assert found["precision"] == found["recall"] == found["f1"] == 0
    assert found["undefined"] == 1 and found["accuracy"] == pytest.approx(2 / 3)


def check_files(folder):
    """History and predictions of a trial that has written all that it should."""
    history = pd.read_csv(folder / "history.csv")
    predictions = pd.read_csv(folder / "predictions.csv")
    probe = pd.read_csv(folder / "probe.csv")
    assert {"epoch", "train_loss", "learning_rate"} <= set(history) and len(history) == 2
    assert list(probe) == ["epoch", "train_loss", "val_f1"]
    assert predictions["probability"].between(0, 1).all()
    assert set(predictions["split"]) == {"val", "test"}
    with np.load(folder / "features.npz") as stored:
        assert stored["features"].shape == (len(predictions), 512)
        assert len(stored["rows"]) == len(stored["bones"]) == len(predictions)
    return history


@pytest.mark.parametrize(("method", "variant"), [("vicreg", "masked"), ("simclr", "unsegmented")])
def test_a_pretraining_writes_its_files(places, data, method, variant):
    folder = run(places, f"{variant}-{method}", method=method, variant=variant)
    monitors = {"feature_sd", "prototype_use", "covariance", "empty_share"}
    assert monitors <= set(check_files(folder))
    if variant == "masked":
        own = pd.read_csv(folder / "train_predictions.csv")
        assert own["probability"].between(0, 1).all() and set(own["split"]) == {"train"}
        assert len(own) == len(data.training)


def test_a_supervised_training_writes_its_files(places):
    kept = ("variant", "seed", "device", "epochs", "segmentation", "encoder", "weights")
    shared = {name: getattr(TRIAL, name) for name in (*kept, "batch_size", "steps", "whole_side")}
    folder = places[1] / "supervised"
    folder.mkdir()
    hand_supervised.train(SupervisedTrial(method="supervised", **shared), str(places[0]), folder)
    assert check_files(folder)["val_f1"].between(0, 1).all()
    assert not (folder / "train_predictions.csv").exists()
