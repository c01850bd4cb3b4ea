"""The pediatric study: who is left out, what is learnt, metrics in mm, stages, interruption."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from lib.base import paths
from lib.base.errors import DataError, SettingError
from lib.engine.profiles import PROFILES
from lib.engine.trial_plans import plan
from lib.engine.trials import collect
from lib.losses.adversarial import adversarial_loss, discriminator_loss
from lib.losses.shape_prior import class_cross_entropy, shape_prior_loss
from lib.models.pediatric_networks import class_probabilities
from lib.models.shape_autoencoder import frozen
from lib.studies.pediatric import (
    evaluation,
    learn as pediatric,
    learning,
    trials as pediatric_trials,
)
from lib.training import loop as training
from tests.make.pediatric import SHAPE, make_pediatric_fixture

TINY = {"image_size": 32, "steps": 2, "batch_size": 4, "epochs": 1}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_pediatric_fixture(root / "pediatric")
    return str(root)


def listed(kind, joint="ankle", profile="smoke"):
    return pediatric_trials.joint_trials(profile, joint, [0], 42, "cpu")[kind]


def trial_of(method="att_unet/multi/comb", joint="ankle", kind="network", **changes):
    """A training of the smoke profile, on even smaller slices."""
    return next(t for t in listed(kind, joint) if t["method"] == method) | TINY | changes


def prior_of(trial):
    torch.manual_seed(0)
    return frozen(learning.autoencoder(trial))


def one_batch(trial, data_root):
    data = pediatric.load(trial, data_root)
    rows = np.flatnonzero((data.labels > 0).any((1, 2)))[:6]
    x = torch.from_numpy(data.images[rows][:, None])
    y = torch.from_numpy(learning.structures(trial, data.labels[rows]).astype(np.float32))
    return x, y


# --- who is left out


def cases(pathology, subjects=None):
    n = len(pathology)
    return pd.DataFrame({"subject": subjects or [f"s{k}" for k in range(n)], "case": range(n),
                         "pathology": pathology})  # fmt: skip


def test_validation_is_the_next_of_the_same_pathology():
    table = cases([1, 1, 0, 0, 0])
    found = [pediatric.split(table, fold)["val"] for fold in range(5)]
    assert found == [1, 0, 3, 4, 2]
    alone = pediatric.split(cases([1, 0, 0]), 0)
    assert (alone["val"], alone["train"].tolist()) == (1, [2])
    unknown = pediatric.split(cases([np.nan] * 4), 3)
    assert unknown["val"] == 0


def test_nobody_is_trained_on_who_is_tested_or_validated():
    table = cases([0] * 7, subjects=list("aabbccd"))
    for fold in range(7):
        parts = pediatric.split(table, fold)
        subject = table["subject"].to_numpy()
        left_out = {subject[parts["test"]], subject[parts["val"]]}
        assert len(left_out) == 2
        assert set(subject[parts["train"]]) == set("abcd") - left_out
    with pytest.raises(SettingError, match="found 2 subjects"):
        pediatric.split(cases([0, 0, 0], subjects=list("aab")), 0)
    with pytest.raises(SettingError, match="expected 0 to 6"):
        pediatric.split(table, 7)


@pytest.mark.parametrize("kind", ["autoencoder", "network"])
def test_the_test_examination_changes_no_weight(kind, data_root):
    """Its slices and masks replaced by noise, and those of validation: the same network."""
    method = {"autoencoder": "autoencoder/multi", "network": "att_unet/multi/adv"}[kind]
    trial = trial_of(method, kind=kind)
    data = pediatric.load(trial, data_root)
    parts = pediatric.split(data.cases, 0)
    other = np.isin(data.examination, [parts["test"], parts["val"]])
    noise = data._replace(
        images=np.where(other[:, None, None], 3.0, data.images).astype(np.float32),
        labels=np.where(other[:, None, None], 1, data.labels).astype(np.uint8),
    )
    found = []
    for given in (data, noise):
        training.seed_everything(0)
        if kind == "autoencoder":
            model = learning.autoencoder(trial)
            learning.learn_autoencoder(trial, model, given, parts)
        else:
            model = learning.Players(trial)
            learning.learn_network(trial, model, None, given, parts)
        found.append(model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


# --- which trials there are


def test_the_methods_are_those_of_table_4_in_its_order():
    table = pd.read_csv(paths.REFERENCE / "pediatric_table4.csv")
    printed = (
        table["backbone"].str.lower().str.replace("-", "_")
        + "/" + table["strategy"] + "/" + table["regularisation"]
    )  # fmt: skip
    assert list(dict.fromkeys(printed)) == list(pediatric.METHODS)
    assert pediatric.PROPOSED in pediatric.METHODS and len(pediatric.METHODS) == 18


def test_trainings_of_a_fold_are_as_many_as_the_paper_needs():
    """26 and 22 networks, 5 and 4 auto-encoders; two networks more for SPAR."""
    for joint, networks in (("ankle", 26), ("shoulder", 22)):
        trials = [t for t in listed("network", joint) if t["method"] not in pediatric.EXTRA]
        assert len(trials) == networks
        assert len(listed("network", joint)) == networks + 2
        assert len(listed("autoencoder", joint)) == len(pediatric.JOINTS[joint]) + 2
        assert [t["method"] for t in listed("evaluation", joint)] == [
            *pediatric.METHODS, *pediatric.EXTRA
        ]  # fmt: skip


def test_every_trial_names_what_it_needs():
    named = pediatric_trials.joint_trials(
        "smoke", "ankle", [0], 42, "cpu", lambda trial: f"{trial['kind']}:{trial['method']}"
    )
    by_method = {trial["method"]: trial for trial in named["network"]}
    assert by_method["att_unet/multi/base"]["autoencoder"] == ""
    assert by_method["att_unet/global/adv"]["autoencoder"] == ""
    assert by_method["att_unet/global/shape"]["autoencoder"] == "autoencoder:autoencoder/global"
    assert by_method["res_unet/multi/spar"]["autoencoder"] == "autoencoder:autoencoder/multi"
    talus = by_method["att_unet/individual/comb-talus"]
    assert talus["autoencoder"] == "autoencoder:autoencoder/individual-talus"
    networks = {trial["method"]: trial["networks"] for trial in named["evaluation"]}
    assert networks["att_unet/individual/adv"] == [
        f"network:att_unet/individual/adv-{bone}" for bone in pediatric.JOINTS["ankle"]
    ]
    assert networks["vgg_unet/multi/comb"] == ["network:vgg_unet/multi/comb"]


def test_clean_keeps_what_a_profile_lists():
    for profile in PROFILES["pediatric"]:
        for kind in pediatric_trials.KINDS:
            trial = listed(kind, "shoulder", profile)[-1]
            assert pediatric_trials.is_listed(trial | {"fold": 0})
            assert not pediatric_trials.is_listed(trial | {"image_size": 48})
    paper = pediatric_trials.joint_trials("paper", "ankle", [16], 42, "cpu")
    assert all(pediatric_trials.is_listed(trial) for trial in paper["autoencoder"])
    assert not pediatric_trials.is_listed(listed("network")[0] | {"fold": 3})


def test_the_paper_profile_is_as_printed():
    paper = {t["method"]: t for t in listed("network", profile="paper")}
    expected = {"att_unet": (32, 32, 20, 1e-3), "vgg_unet": (64, 32, 10, 1e-4),
                "res_unet": (64, 16, 10, 1e-4), "dense_unet": (64, 16, 10, 1e-4)}  # fmt: skip
    for backbone, values in expected.items():
        trial = paper[f"{backbone}/multi/comb"]
        keys = ("width", "batch_size", "epochs", "learning_rate")
        assert tuple(trial[key] for key in keys) == values
        assert trial["discriminator_learning_rate"] == trial["learning_rate"]
        assert trial["image_size"] == 256 and trial["steps"] is None
    autoencoder = listed("autoencoder", profile="paper")[0]
    assert [autoencoder[k] for k in ("batch_size", "epochs", "learning_rate")] == [32, 10, 1e-2]
    assert PROFILES["pediatric"]["paper"]["folds"] is None


# --- what is segmented


def test_structures_of_the_strategies():
    labels = np.array([[[0, 1], [2, 3]]], np.uint8)
    multi = {"dataset": "ankle", "strategy": "multi", "bone": ""}
    masks = learning.structures(multi, labels)
    assert masks[0].reshape(3, 4).tolist() == [
        [False, True, False, False], [False, False, True, False], [False, False, False, True]
    ]  # fmt: skip
    whole = learning.with_background(torch.from_numpy(masks.astype(np.float32)))
    assert whole.shape == (1, 4, 2, 2) and (whole.sum(1) == 1).all()
    assert whole[0, 0].tolist() == [[1, 0], [0, 0]]
    talus = multi | {"strategy": "individual", "bone": "talus"}
    assert learning.structures(talus, labels)[0, 0].tolist() == [[False, False], [True, False]]
    union = learning.structures(multi | {"strategy": "global"}, labels)
    assert union[0, 0].tolist() == [[False, True], [True, True]]
    assert [learning.channels(t) for t in (multi, talus)] == [4, 1]


# --- D and S


def gradients_and_steps(trial, players, prior, batch):
    adam = torch.optim.Adam(
        [{"params": players.network.parameters()}, {"params": players.discriminators.parameters()}],
        1e-3,
    )
    before = {name: value.clone() for name, value in players.named_parameters()}
    terms = learning.play(trial, adam, prior, players, batch, 0)
    middle = {name: value.clone() for name, value in players.named_parameters()}
    adam.zero_grad(set_to_none=True)
    terms["loss"].backward()
    adam.step()
    after = dict(players.named_parameters())

    def moved(old, new):
        return {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}

    return terms, moved(before, middle), moved(middle, after)


@pytest.mark.parametrize("regularisation", ["adv", "comb", "spar", "spar_adv"])
def test_one_step_moves_d_and_the_next_s(regularisation, data_root):
    trial = trial_of(f"res_unet/multi/{regularisation}" if "spar" in regularisation
                     else f"att_unet/multi/{regularisation}", image_size=64)  # fmt: skip
    training.seed_everything(1)
    players, prior = learning.Players(trial), prior_of(trial)
    frozen_before = [p.clone() for p in prior.parameters()]
    _, first, second = gradients_and_steps(trial, players, prior, one_batch(trial, data_root))
    assert first == {"discriminators"} and second == {"network"}
    assert all(map(torch.equal, frozen_before, prior.parameters())) and not prior.training
    names = {"adv": ["masks"], "comb": ["masks"], "spar": ["codes"], "spar_adv": ["masks", "codes"]}
    assert list(players.discriminators) == names[regularisation]


def test_the_losses_are_those_of_the_equations(data_root):
    trial = trial_of("att_unet/multi/comb")
    training.seed_everything(1)
    players, prior = learning.Players(trial), prior_of(trial)
    x, y = one_batch(trial, data_root)
    whole = learning.with_background(y)
    judge = players.discriminators["masks"]
    with torch.no_grad():
        logits = players.network(x)
        p = class_probabilities(logits)
        d_loss = discriminator_loss(judge(p, x), judge(whole, x))
        shape = shape_prior_loss(prior.encode(p), prior.encode(whole))
        ce = class_cross_entropy(logits, whole)
    still = torch.optim.SGD(players.parameters(), 0.0)  # D does not move
    terms = learning.play(trial, still, prior, players, (x, y), 0)
    with torch.no_grad():
        adversarial = adversarial_loss(judge(p, x))
    expected = {"ce": ce, "shape": shape, "d_loss": d_loss, "adv": adversarial}
    expected |= {"shape_ratio": 0.1 * shape / ce, "loss": ce + 0.1 * shape + 0.01 * adversarial}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    summed = learning.play(trial | {"reading": "sum"}, still, prior, players, (x, y), 0)
    entries = prior.encode(whole)[0].numel()
    assert summed["shape"].item() == pytest.approx(entries * shape.item(), rel=1e-3)


def test_d_neither_collapses_nor_is_ignored(data_root):
    """In the first 24 steps D gets better than chance, its loss stays finite and above 1e-2, and S
    feels it: its weights depend on D."""
    found = {}
    for method in ("att_unet/multi/base", "att_unet/multi/adv"):
        trial = trial_of(method, steps=4, epochs=6, learning_rate=1e-3,
                         discriminator_learning_rate=1e-3)  # fmt: skip
        data = pediatric.load(trial, data_root)
        training.seed_everything(0)
        players = learning.Players(trial)
        parts = pediatric.split(data.cases, 0)
        found[method] = learning.learn_network(trial, players, None, data, parts)
    history = found["att_unet/multi/adv"]
    assert np.isfinite(history[["train_ce", "train_adv", "train_loss", "train_d_loss"]]).all(
        axis=None
    )
    assert history["train_d_loss"].between(1e-2, 4).all()
    assert history["train_d_accuracy"].iloc[-3:].mean() > 0.55
    assert history["train_d_loss"].iloc[-1] < history["train_d_loss"].iloc[0]
    assert history["train_ce"].iloc[-1] < history["train_ce"].iloc[0]
    base = found["att_unet/multi/base"]
    assert base["train_ce"].iloc[-1] != history["train_ce"].iloc[-1]
    assert base[["train_adv", "train_shape", "train_d_loss"]].isna().all(axis=None)
    assert list(set(base) ^ set(history)) == []


class Stopped(Exception):
    pass


@pytest.mark.parametrize("selection", ["last", "best"])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    selection, data_root, tmp_path, monkeypatch
):
    trial = trial_of("att_unet/multi/comb", epochs=3, selection=selection)
    data = pediatric.load(trial, data_root)
    parts = pediatric.split(data.cases, 0)

    def run(name):
        (tmp_path / name).mkdir(exist_ok=True)
        training.seed_everything(0)
        players = learning.Players(trial)
        prior = prior_of(trial)
        history = learning.learn_network(trial, players, prior, data, parts, tmp_path / name)
        return history, players.state_dict()

    whole, weights = run("whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    segmented, calls = learning.segmented, []

    def stopped_in_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Stopped
        return segmented(*arguments)

    monkeypatch.setattr(learning, "segmented", stopped_in_the_third)
    with pytest.raises(Stopped):
        run("half")
    monkeypatch.setattr(learning, "segmented", segmented)
    half, resumed = run("half")
    pd.testing.assert_frame_equal(whole, half, check_exact=True)
    assert all(torch.equal(value, resumed[name]) for name, value in weights.items())


# --- metrics


def surface(mask):
    """Voxels with a face to the outside, as index triples, by brute force."""
    found = []
    for index in np.argwhere(mask):
        for step in (*np.eye(3, dtype=int), *-np.eye(3, dtype=int)):
            to = index + step
            if (to < 0).any() or (to >= mask.shape).any() or not mask[tuple(to)]:
                found.append(index)
                break
    return np.array(found)


def test_metrics_of_an_anisotropic_volume_are_those_of_brute_force():
    rng = np.random.default_rng(5)
    truth = np.zeros((6, 12, 10), np.uint8)
    truth[1:5, 2:8, 2:5], truth[2:5, 2:9, 6:9] = 1, 2
    labels = np.roll(truth, (0, 1, 1), (0, 1, 2)) * (rng.random(truth.shape) > 0.1)
    labels = labels.astype(np.uint8)
    spacing_mm = np.array([3.2, 0.7, 1.1])
    trial = {"dataset": "shoulder", "method": "m", "fold": 0, "seed": 1, "strategy": "multi",
             "bones": ["humerus", "scapula"]}  # fmt: skip
    case = pd.Series({"subject": "s", "case": "c"})
    table = evaluation.volume_metrics(trial, case, labels, truth, spacing_mm)
    found = table.set_index(["structure", "metric"])["value"]
    pairs = {"union": (labels > 0, truth > 0)}
    pairs |= {b: (labels == k, truth == k) for k, b in enumerate(trial["bones"], 1)}
    for name, (mask, target) in pairs.items():
        ours, theirs = surface(mask) * spacing_mm, surface(target) * spacing_mm
        between = np.linalg.norm(ours[:, None] - theirs, axis=-1)
        distances = np.concatenate([between.min(0), between.min(1)])
        tp, sizes = (mask & target).sum(), (mask.sum(), target.sum())
        expected = {
            "dice": 2 * tp / sum(sizes),
            "sensitivity": tp / sizes[1],
            "specificity": (~mask & ~target).sum() / (~target).sum(),
            "rvd": abs(int(sizes[0]) - int(sizes[1])) / sizes[1],
            "mssd": distances.max(),
            "assd": distances.mean(),
            "empty": 0,
        }
        assert found[name].to_dict() == pytest.approx(expected), name
    assert len(found) == 21
    assert set(table.query("metric in ('mssd', 'assd')")["unit"]) == {"mm"}


def test_an_empty_prediction_and_an_absent_bone():
    truth = np.zeros((4, 8, 8), np.uint8)
    truth[1:3, 2:6, 2:6] = 1
    trial = {"dataset": "shoulder", "method": "m", "fold": 0, "seed": 1, "strategy": "multi",
             "bones": ["humerus", "scapula"]}  # fmt: skip
    case = pd.Series({"subject": "s", "case": "c"})
    table = evaluation.volume_metrics(trial, case, 0 * truth, truth, np.array([2.0, 1, 1]))
    assert set(table["structure"]) == {"union", "humerus"}  # no scapula is seen
    found = table.set_index(["structure", "metric"])["value"]["union"]
    diagonal = np.linalg.norm([3 * 2, 7, 7])
    assert found.to_dict() == pytest.approx(
        {"dice": 0, "sensitivity": 0, "specificity": 1, "rvd": 1, "empty": 1,
         "mssd": diagonal, "assd": diagonal}
    )  # fmt: skip
    trial["strategy"] = "global"
    assert set(evaluation.volume_metrics(trial, case, truth, truth, np.ones(3))["structure"]) == {
        "union"
    }


def test_slices_with_bone_and_their_position():
    truth, labels = np.zeros((2, 7, 4, 4), np.uint8)
    truth[1:6, :2] = 1
    labels[1:5, :1], labels[6] = 2, 1
    trial = {"dataset": "ankle", "method": "m", "fold": 0, "seed": 1}
    case = pd.Series({"subject": "s", "case": "c"})
    table = evaluation.slice_metrics(trial, case, labels, truth)
    dice = table[table["metric"] == "dice"]
    assert dice["slice"].tolist() == [1, 2, 3, 4, 5]
    assert dice["position"].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert dice["value"].tolist() == pytest.approx([2 / 3] * 4 + [0])
    assert evaluation.slice_metrics(trial, case, labels, 0 * truth).empty


def test_labels_of_one_network_and_of_one_a_bone():
    multi = np.array([[100, 50], [90, 60], [65, 145]], np.uint8).reshape(3, 1, 1, 2)
    assert evaluation.labels_of([multi]).tolist() == [[[0, 2]]]
    bones = [
        np.array(p, np.uint8).reshape(1, 1, 1, 4) for p in ([127, 128, 200, 9], [0, 130, 1, 8])
    ]
    assert evaluation.labels_of(bones).tolist() == [[[0, 2, 1, 0]]]
    assert evaluation.labels_of(bones[:1]).tolist() == [[[0, 1, 1, 0]]]


# --- the whole study


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data_root):
    """Three stages of a small selection of methods at both joints."""
    patch = pytest.MonkeyPatch()
    root = tmp_path_factory.mktemp("run")
    patch.setattr(paths, "TRIALS", root)
    small = json.loads(json.dumps(PROFILES["pediatric"]["smoke"]))
    small["image_size"] = 32
    patch.setitem(PROFILES["pediatric"], "smoke", small)
    patch.setattr(pediatric_trials, "METHODS", ("att_unet/individual/shape", "att_unet/global/adv",
                                                "res_unet/multi/comb"))  # fmt: skip
    patch.setattr(pediatric_trials, "EXTRA", ())
    patch.setattr("lib.engine.trials.run_in_processes", in_this_process)
    yield pediatric_trials.run_study("smoke", data_root, 42, "cpu"), data_root
    patch.undo()


def in_this_process(function, jobs, *_, **__):
    return [function(*job) for job in jobs]


def test_three_stages_of_both_joints(finished):
    found, data_root = finished
    for joint, bones in pediatric.JOINTS.items():
        stages = found[joint]
        assert [len(stages[kind]) for kind in pediatric_trials.KINDS] == [2 + len(bones)] * 2 + [3]
        metrics = collect(stages["evaluation"], "metrics")
        assert np.isfinite(metrics["value"]).all() and set(metrics["dataset"]) == {joint}
        assert set(metrics["subject"]) == {f"{joint}_0"}
        structures = metrics.groupby("method")["structure"].unique().map(set)
        assert structures["att_unet/global/adv"] == {"union"}
        assert structures["res_unet/multi/comb"] == {"union", *bones}
        history = collect(stages["network"], "history")
        proposed = history[history["method"] == pediatric.PROPOSED]
        assert np.isfinite(proposed[[f"train_{c}" for c in learning.COLUMNS]]).all(axis=None)
        assert proposed["val_dice"].between(0, 1).all()
        kept = [(f / "weights.safetensors").exists() for f in stages["network"]]
        assert kept == [False] * (1 + len(bones)) + [True]
        dice = collect(stages["autoencoder"], "metrics").groupby("method")["structure"].unique()
        assert list(dice["autoencoder/global"]) == ["union"]
        assert list(dice["autoencoder/multi"]) == list(bones)


def test_what_the_stages_store(finished):
    found, data_root = finished
    bones = pediatric.JOINTS["ankle"]
    individual, union, multi = found["ankle"]["evaluation"]
    assert pediatric.stored_labels(union).max() <= 1
    labels = pediatric.stored_labels(multi)
    assert labels.shape == (SHAPE[2], 32, 32) and labels.dtype == np.uint8 and labels.max() <= 3
    for folder in found["ankle"]["network"]:
        p = pediatric.stored_probabilities(folder)
        trial = pediatric.stored_trial(folder)
        assert p.shape == (learning.channels(trial), SHAPE[2], 32, 32) and p.dtype == np.uint8
        if len(p) > 1:
            assert np.abs(p.astype(int).sum(0) - 255).max() <= 3
    slices = pd.read_csv(individual / "slices.csv")
    assert set(slices["metric"]) == {"dice", "sensitivity", "specificity"}
    assert slices["position"].between(0, 1).all()
    names = pediatric.stored_trial(individual)["networks"]
    assert [name.split("-fold0")[0].rsplit("-", 1)[1] for name in names] == list(bones)


def test_everything_is_found_again_and_planned(finished):
    found, data_root = finished
    again = pediatric_trials.run_study("smoke", data_root, 42, "cpu", cached_only=True)
    assert again == found
    table = plan("pediatric", profile="smoke", data_root=data_root, seed=42, device="cpu")
    assert len(table) == 13 + 11 and set(table["status"]) == {"cached"}


def test_shape_codes_are_of_single_bones_of_seen_examinations(finished):
    found, data_root = finished
    multi, union = found["shoulder"]["autoencoder"][:2]
    for folder in (multi, union):
        codes, bones, groups = pediatric.shape_codes(folder, data_root)
        assert codes.shape == (len(bones), 16 * 8) and len(groups) == len(bones)
        assert set(bones) == set(pediatric.JOINTS["shoulder"])
        assert "shoulder0" not in set(groups) and len(set(groups)) == 4  # the test examination


def test_a_joint_without_rows_is_left_out(tmp_path):
    make_pediatric_fixture(tmp_path / "pediatric", each=3, joints=("shoulder",))
    assert list(pediatric_trials.find_data(str(tmp_path), "smoke")) == ["shoulder"]
    listed = pediatric_trials.study_trials("paper", str(tmp_path), 42)
    assert {t["fold"] for t in listed["shoulder"]["evaluation"]} == {0, 1, 2}
    table = pd.read_csv(tmp_path / "pediatric/cases.csv")
    table = table.drop(columns=["joint", "mask_scapula"])
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    with pytest.raises(DataError, match="no row of a joint; expected ankle or shoulder"):
        pediatric_trials.find_data(str(tmp_path), "smoke")


def test_who_is_pathological_is_part_of_the_data(tmp_path):
    make_pediatric_fixture(tmp_path / "pediatric", each=3)
    before = pediatric_trials.data_fingerprint(str(tmp_path), "ankle")
    table = pd.read_csv(tmp_path / "pediatric/cases.csv")
    table.loc[table["case"] == "shoulder2", "pathology"] = 1
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    assert pediatric_trials.data_fingerprint(str(tmp_path), "ankle") == before
    table.loc[table["case"] == "ankle2", "pathology"] = 1
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    assert pediatric_trials.data_fingerprint(str(tmp_path), "ankle") != before
