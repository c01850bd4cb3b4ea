"""The pediatric study: who is left out, what is learnt, metrics in mm, stages, interruption."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from lib.base import paths
from lib.base.errors import DataError, SettingError
from lib.data.cases import find_cases
from lib.data.volumes import read_labels, read_volume, restored
from lib.engine import supervised
from lib.engine.plans import plan
from lib.engine.study import Source
from lib.engine.supervised import learn
from lib.engine.trials import collect
from lib.losses.adversarial import adversarial_loss, discriminator_loss
from lib.losses.overlap import dice_loss
from lib.losses.shape_prior import class_cross_entropy, shape_prior_loss
from lib.models.pediatric_networks import class_probabilities
from lib.models.shape_autoencoder import frozen
from lib.studies.pediatric import (
    STUDY,
    codes,
    data as pediatric_data,
    evaluation,
    learn as pediatric,
    trials as pediatric_trials,
)
from lib.studies.pediatric.joints import JOINTS
from lib.studies.pediatric.methods import EXTRA, METHODS, PROPOSED, REGULARISATIONS, Regularisation
from lib.studies.pediatric.trials import EvaluationTrial, stored_trial
from lib.training import loop as training
from tests.make.pediatric import SHAPE, make_pediatric_fixture, write_volume

TINY = {"image_size": 32, "epochs": 1}
SHORT = {"steps": 2, "batch_size": 4}
KINDS = ("autoencoder", "network", "evaluation")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    make_pediatric_fixture(root / "pediatric")
    return str(root)


def listed(kind, joint="ankle", profile="smoke", cases=1):
    sources = {joint: Source("", "data", cases)}
    return STUDY.trials(profile, 42, "cpu", sources)[KINDS.index(kind)]


def trial_of(method="att_unet/multi/comb", joint="ankle", kind="network", **changes):
    """A training of the smoke profile, on even smaller slices."""
    trial = next(t for t in listed(kind, joint) if t.method == method)
    return replace(trial, **TINY | SHORT | changes)


def evaluation_of(joint, strategy="multi"):
    return EvaluationTrial(
        variant=joint,
        method="m",
        strategy=strategy,
        seed=1,
        device="cpu",
        epochs=1,
        image_size=32,
        normalisation="volume",
        networks=(),
    )


def prior_of(trial):
    torch.manual_seed(0)
    return frozen(pediatric.autoencoder(trial))


def trained(trial, data, parts, prior=None, folder=None):
    """S and its discriminators after a training, and its history."""
    training.seed_everything(0)
    model = pediatric.Adversaries(trial, prior)
    history = learn(pediatric.network_learning(trial, model, data, parts), model, folder)
    return model, history


def one_batch(trial, data_root):
    data = pediatric_data.load(trial, data_root)
    rows = np.flatnonzero((data.labels > 0).any((1, 2)))[:6]
    x = torch.from_numpy(data.images[rows][:, None])
    y = torch.from_numpy(pediatric_data.masks_of(trial, data.labels[rows]).astype(np.float32))
    return x, y


# --- who is left out


def cases(pathology, subjects=None):
    n = len(pathology)
    return pd.DataFrame({"subject": subjects or [f"s{k}" for k in range(n)], "case": range(n),
                         "pathology": pathology})  # fmt: skip


def test_validation_is_the_next_of_the_same_pathology():
    table = cases([1, 1, 0, 0, 0])
    found = [pediatric_data.leave_one_out(table, fold)["val"] for fold in range(5)]
    assert found == [1, 0, 3, 4, 2]
    alone = pediatric_data.leave_one_out(cases([1, 0, 0]), 0)
    assert (alone["val"], alone["train"].tolist()) == (1, [2])
    unknown = pediatric_data.leave_one_out(cases([np.nan] * 4), 3)
    assert unknown["val"] == 0


def test_nobody_is_trained_on_who_is_tested_or_validated():
    table = cases([0] * 7, subjects=list("aabbccd"))
    for fold in range(7):
        parts = pediatric_data.leave_one_out(table, fold)
        subject = table["subject"].to_numpy()
        left_out = {subject[parts["test"]], subject[parts["val"]]}
        assert len(left_out) == 2
        assert set(subject[parts["train"]]) == set("abcd") - left_out
    with pytest.raises(SettingError, match="found 2 subjects"):
        pediatric_data.leave_one_out(cases([0, 0, 0], subjects=list("aab")), 0)
    with pytest.raises(SettingError, match="expected 0 to 6"):
        pediatric_data.leave_one_out(table, 7)


@pytest.mark.parametrize("kind", ["autoencoder", "network"])
def test_the_test_examination_changes_no_weight(kind, data_root):
    """Its slices and masks replaced by noise, and those of validation: the same network."""
    method = {"autoencoder": "autoencoder/multi", "network": "att_unet/multi/adv"}[kind]
    trial = trial_of(method, kind=kind)
    data = pediatric_data.load(trial, data_root)
    parts = pediatric_data.split(trial, data)
    other = np.isin(data.examination, [parts["test"], parts["val"]])
    noise = data._replace(
        images=np.where(other[:, None, None], 3.0, data.images).astype(np.float32),
        labels=np.where(other[:, None, None], 1, data.labels).astype(np.uint8),
    )
    found = []
    for given in (data, noise):
        training.seed_everything(0)
        if kind == "autoencoder":
            model, learning = pediatric.autoencoder(trial), pediatric.autoencoder_learning
        else:
            model, learning = pediatric.Adversaries(trial, None), pediatric.network_learning
        learn(learning(trial, model, given, parts), model)
        found.append(model.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


# --- which trials there are


def test_the_methods_are_those_of_table_4_in_its_order():
    table = pd.read_csv(paths.REFERENCE / "pediatric_table4.csv")
    printed = (
        table["backbone"].str.lower().str.replace("-", "_")
        + "/" + table["strategy"] + "/" + table["regularisation"]
    )  # fmt: skip
    assert list(dict.fromkeys(printed)) == list(METHODS)
    assert PROPOSED in METHODS and len(METHODS) == 18


def test_trainings_of_a_fold_are_as_many_as_the_paper_needs():
    """26 and 22 networks, 5 and 4 auto-encoders; two networks more for SPAR."""
    for joint, networks in (("ankle", 26), ("shoulder", 22)):
        trials = [t for t in listed("network", joint) if t.method not in EXTRA]
        assert len(trials) == networks
        assert len(listed("network", joint)) == networks + 2
        assert len(listed("autoencoder", joint)) == len(JOINTS[joint]) + 2
        assert [t.method for t in listed("evaluation", joint)] == [*METHODS, *EXTRA]


def test_every_trial_names_what_it_needs():
    sources = {"ankle": Source("", "data", 1)}
    autoencoders, networks, evaluations = STUDY.trials("smoke", 42, "cpu", sources)
    folder = {t.method: STUDY.folder(t, sources).name for t in autoencoders}
    needs = {trial.method: trial.needs for trial in networks}
    assert needs["att_unet/multi/base"] == needs["att_unet/global/adv"] == ()
    assert needs["att_unet/global/shape"] == (folder["autoencoder/global"],)
    assert needs["res_unet/multi/spar"] == (folder["autoencoder/multi"],)
    talus = needs["att_unet/individual/comb-talus"]
    assert talus == (folder["autoencoder/individual-talus"],)
    folder = {t.method: STUDY.folder(t, sources).name for t in networks}
    needs = {trial.method: trial.needs for trial in evaluations}
    assert needs["att_unet/individual/adv"] == tuple(
        folder[f"att_unet/individual/adv-{bone}"] for bone in JOINTS["ankle"]
    )
    assert needs["vgg_unet/multi/comb"] == (folder["vgg_unet/multi/comb"],)


def test_what_a_profile_lists_is_current():
    for profile in STUDY.profiles:
        for kind in KINDS:
            trial = listed(kind, "shoulder", profile)[-1]
            assert STUDY.is_current_trial(trial, "data")
            assert not STUDY.is_current_trial(replace(trial, image_size=48), "data")
    last = [t for t in listed("autoencoder", profile="paper", cases=3) if t.fold == 2]
    assert last and all(STUDY.is_current_trial(trial, "data") for trial in last)
    assert not STUDY.is_current_trial(replace(listed("network")[0], fold=3), "data")


def test_the_paper_profile_is_as_printed():
    paper = {t.method: t for t in listed("network", profile="paper")}
    expected = {"att_unet": (32, 32, 20, 1e-3), "vgg_unet": (64, 32, 10, 1e-4),
                "res_unet": (64, 16, 10, 1e-4), "dense_unet": (64, 16, 10, 1e-4)}  # fmt: skip
    for backbone, values in expected.items():
        trial = paper[f"{backbone}/multi/comb"]
        assert (trial.width, trial.batch_size, trial.epochs, trial.learning_rate) == values
        assert trial.discriminator_learning_rate == trial.learning_rate
        assert trial.image_size == 256 and trial.steps is None
    trial = listed("autoencoder", profile="paper")[0]
    assert (trial.batch_size, trial.epochs, trial.learning_rate) == (32, 10, 1e-2)
    assert {t.fold for t in listed("evaluation", profile="paper", cases=17)} == set(range(17))


@pytest.mark.parametrize("seed", [-1, 1.5, "42"])
def test_an_impossible_seed_is_one_clear_error(seed):
    with pytest.raises(SettingError, match="seed"):
        STUDY.trials("smoke", seed, "cpu", {})


# --- what is segmented


def test_structures_of_the_strategies():
    labels = np.array([[[0, 1], [2, 3]]], np.uint8)
    multi, talus, union = (
        trial_of(f"att_unet/{method}")
        for method in ("multi/base", "individual/base-talus", "global/base")
    )
    masks = pediatric_data.masks_of(multi, labels)
    assert masks[0].reshape(3, 4).tolist() == [
        [False, True, False, False], [False, False, True, False], [False, False, False, True]
    ]  # fmt: skip
    whole = pediatric_data.with_background(torch.from_numpy(masks.astype(np.float32)))
    assert whole.shape == (1, 4, 2, 2) and (whole.sum(1) == 1).all()
    assert whole[0, 0].tolist() == [[1, 0], [0, 0]]
    alone, together = (pediatric_data.masks_of(trial, labels) for trial in (talus, union))
    assert alone[0, 0].tolist() == [[False, False], [True, False]]
    assert together[0, 0].tolist() == [[False, True], [True, True]]
    assert [pediatric.channels(t) for t in (multi, talus, union)] == [4, 1, 1]


def test_slices_get_one_size_a_known_spacing_and_unit_variance(tmp_path):
    array = np.random.default_rng(3).integers(-50, 900, SHAPE).astype(np.int16)
    write_volume(tmp_path / "v.nii", array, tmp_path)
    volume = read_volume(tmp_path / "v.nii")
    prepared = pediatric_data.prepare(volume.array, "ankle", 18)
    images, spacing_mm = prepared.pictures, pediatric_data.resized_spacing_mm(volume, 18)
    (small,) = prepared.learnt(volume.array[None] > 400)
    assert images.shape == small.shape == (10, 18, 18) and images.dtype == np.float32
    assert np.array_equal(prepared.inputs, images[:, None])
    assert images.mean() == pytest.approx(0, abs=1e-6) and images.std() == pytest.approx(1)
    assert spacing_mm == pytest.approx((3.0, 1.5 * 36 / 18, 1.25 * 40 / 18))
    blocks = volume.array.reshape(10, 18, 2, 40)[:, :, :, :20].mean(2)  # rows halve exactly
    inner = area_average(blocks, 20, 9)
    sd, mean = np.polyfit(images[:, :, :9].ravel(), inner.ravel(), 1)
    assert np.allclose(images[:, :, :9] * sd + mean, inner, atol=0.1)
    by_slice = pediatric_data.prepare(volume.array, "ankle", 18, "slice").pictures
    assert np.allclose(by_slice.mean((1, 2)), 0, atol=1e-6)
    alone = pediatric_data.prepare(volume.array[4], "ankle", 18).pictures
    assert np.allclose(alone[0], by_slice[4], atol=1e-5)


def area_average(rows, old, new):
    """Area average along the last axis from ``old`` to ``new`` pixels, by brute force."""
    fine = np.repeat(rows, new, -1)  # every pixel as ``new`` equal parts
    return fine.reshape(*rows.shape[:-1], new, old).mean(-1)


def test_bones_survive_the_way_there_and_back(data_root):
    case = find_cases(data_root, "pediatric").iloc[0]
    volume = read_volume(case["image"])
    labels = read_labels([case[f"mask_{bone}"] for bone in JOINTS["ankle"]], volume)
    prepared = pediatric_data.prepare(volume.array, "ankle", 96)
    (small,) = prepared.learnt(labels[None])
    back = restored(small, volume).transpose(volume.axes)
    assert np.mean(back[labels > 0] == labels[labels > 0]) > 0.999
    classes = np.moveaxis(small[..., None] == np.arange(4), -1, 1).astype(np.float32)
    outlined = prepared.restore(classes)
    assert outlined.entropy is None and outlined.masks.shape == (3, *volume.array.shape)
    for number, mask in enumerate(outlined.masks, 1):
        assert np.mean(mask[labels == number]) > 0.999  # closing adds voxels at most


# --- D and S


def gradients_and_steps(trial, model, batch):
    adam = torch.optim.Adam(
        [{"params": model.network.parameters()}, {"params": model.discriminators.parameters()}],
        1e-3,
    )
    before = {name: value.clone() for name, value in model.named_parameters()}
    terms = pediatric.adversarial_step(trial, adam, model, batch, 0)
    middle = {name: value.clone() for name, value in model.named_parameters()}
    adam.zero_grad(set_to_none=True)
    terms["loss"].backward()
    adam.step()
    after = dict(model.named_parameters())

    def changed(old, new):
        return {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}

    return terms, changed(before, middle), changed(middle, after)


@pytest.mark.parametrize("regularisation", ["adv", "comb", "spar", "spar_adv"])
def test_one_step_changes_d_and_the_next_s(regularisation, data_root):
    trial = trial_of(f"res_unet/multi/{regularisation}" if "spar" in regularisation
                     else f"att_unet/multi/{regularisation}", image_size=64)  # fmt: skip
    prior = prior_of(trial)
    training.seed_everything(1)
    model = pediatric.Adversaries(trial, prior)
    frozen_before = [p.clone() for p in prior.parameters()]
    _, first, second = gradients_and_steps(trial, model, one_batch(trial, data_root))
    assert first == {"discriminators"} and second == {"network"}
    assert all(map(torch.equal, frozen_before, prior.parameters())) and not prior.training
    names = {"adv": ["masks"], "comb": ["masks"], "spar": ["codes"], "spar_adv": ["masks", "codes"]}
    assert list(model.discriminators) == names[regularisation]


def test_the_losses_are_those_of_the_equations(data_root):
    trial = trial_of("att_unet/multi/comb")
    prior = prior_of(trial)
    training.seed_everything(1)
    model = pediatric.Adversaries(trial, prior)
    x, y = one_batch(trial, data_root)
    whole = pediatric_data.with_background(y)
    judge = model.discriminators["masks"]
    with torch.no_grad():
        logits = model.network(x)
        p = class_probabilities(logits)
        d_loss = discriminator_loss(judge(p, x), judge(whole, x))
        shape = shape_prior_loss(prior.encode(p), prior.encode(whole))
        ce = class_cross_entropy(logits, whole)
    still = torch.optim.SGD(model.parameters(), 0.0)  # D does not change
    terms = pediatric.adversarial_step(trial, still, model, (x, y), 0)
    with torch.no_grad():
        adversarial = adversarial_loss(judge(p, x))
    expected = {"ce": ce, "shape": shape, "d_loss": d_loss, "adv": adversarial}
    expected |= {"shape_ratio": 0.1 * shape / ce, "loss": ce + 0.1 * shape + 0.01 * adversarial}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-4), name
    summed = pediatric.adversarial_step(replace(trial, reading="sum"), still, model, (x, y), 0)
    entries = prior.encode(whole)[0].numel()
    assert summed["shape"].item() == pytest.approx(entries * shape.item(), rel=1e-3)


def test_any_loss_of_logits_and_target_is_one_line(data_root, monkeypatch):
    monkeypatch.setitem(REGULARISATIONS, "dice", Regularisation(dice_loss))
    trial = trial_of("att_unet/multi/base", regularisation="dice")
    model = pediatric.Adversaries(trial, None).eval()
    x, y = one_batch(trial, data_root)
    terms = pediatric.adversarial_step(trial, None, model, (x, y), 0)
    expected = dice_loss(model.network(x), pediatric_data.with_background(y))
    assert terms["loss"].item() == pytest.approx(expected.item())


def test_d_neither_collapses_nor_is_ignored(data_root):
    """In the first 24 steps D gets better than chance, its loss stays finite and above 1e-2, and S
    feels it: its weights depend on D."""
    found = {}
    for method in ("att_unet/multi/base", "att_unet/multi/adv"):
        trial = trial_of(method, steps=4, epochs=6, learning_rate=1e-3,
                         discriminator_learning_rate=1e-3)  # fmt: skip
        data = pediatric_data.load(trial, data_root)
        _, found[method] = trained(trial, data, pediatric_data.split(trial, data))
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
    data = pediatric_data.load(trial, data_root)
    parts = pediatric_data.split(trial, data)

    def run(name):
        (tmp_path / name).mkdir(exist_ok=True)
        model, history = trained(trial, data, parts, prior_of(trial), tmp_path / name)
        return history, model.state_dict()

    whole, weights = run("whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    predict, calls = pediatric.predict, []

    def stopped_in_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Stopped
        return predict(*arguments)

    monkeypatch.setattr(pediatric, "predict", stopped_in_the_third)
    with pytest.raises(Stopped):
        run("half")
    monkeypatch.setattr(pediatric, "predict", predict)
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
    trial = evaluation_of("shoulder")
    case = pd.Series({"subject": "s", "case": "c"})
    table = evaluation.volume_metrics(trial, case, labels, truth, spacing_mm)
    found = table.set_index(["structure", "metric"])["value"]
    pairs = {"union": (labels > 0, truth > 0)}
    pairs |= {b: (labels == k, truth == k) for k, b in enumerate(JOINTS["shoulder"], 1)}
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
    trial = evaluation_of("shoulder")
    case = pd.Series({"subject": "s", "case": "c"})
    table = evaluation.volume_metrics(trial, case, 0 * truth, truth, np.array([2.0, 1, 1]))
    assert set(table["structure"]) == {"union", "humerus"}  # no scapula is seen
    found = table.set_index(["structure", "metric"])["value"]["union"]
    diagonal = np.linalg.norm([3 * 2, 7, 7])
    assert found.to_dict() == pytest.approx(
        {"dice": 0, "sensitivity": 0, "specificity": 1, "rvd": 1, "empty": 1,
         "mssd": diagonal, "assd": diagonal}
    )  # fmt: skip
    union = evaluation_of("shoulder", "global")
    table = evaluation.volume_metrics(union, case, truth, truth, np.ones(3))
    assert set(table["structure"]) == {"union"}


def test_slices_with_bone_and_their_position():
    truth, labels = np.zeros((2, 7, 4, 4), np.uint8)
    truth[1:6, :2] = 1
    labels[1:5, :1], labels[6] = 2, 1
    trial = evaluation_of("ankle")
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
    """Three stages of a small selection of methods at both joints: trials, folders, sources."""
    patch = pytest.MonkeyPatch()
    patch.setattr(paths, "TRIALS", tmp_path_factory.mktemp("run"))
    patch.setitem(STUDY.profiles["smoke"], "image_size", 32)
    methods = ("att_unet/individual/shape", "att_unet/global/adv", "res_unet/multi/comb")
    patch.setattr(pediatric_trials, "METHODS", methods)
    patch.setattr(pediatric_trials, "EXTRA", ())
    patch.setattr("lib.engine.trials.run_in_processes", in_this_process)
    sources = STUDY.sources(data_root, "smoke", 42)
    stages = STUDY.trials("smoke", 42, "cpu", sources)
    yield stages, STUDY.run(stages, sources), sources
    patch.undo()


def in_this_process(function, jobs, *_, **__):
    return [function(*job) for job in jobs]


def of_joint(finished, joint):
    """Folders of a joint by stage."""
    stages, folders, _ = finished
    return [
        [f for t, f in zip(trials, named, strict=True) if t.variant == joint]
        for trials, named in zip(stages, folders, strict=True)
    ]


@pytest.mark.parametrize(("joint", "bones"), JOINTS.items())
def test_three_stages_of_both_joints(finished, joint, bones):
    autoencoders, networks, evaluations = of_joint(finished, joint)
    assert [len(autoencoders), len(networks), len(evaluations)] == [2 + len(bones)] * 2 + [3]
    metrics = collect(evaluations, "metrics")
    assert np.isfinite(metrics["value"]).all() and set(metrics["dataset"]) == {joint}
    assert set(metrics["subject"]) == {f"{joint}_0"}
    structures = metrics.groupby("method")["structure"].unique().map(set)
    assert structures["att_unet/global/adv"] == {"union"}
    assert structures["res_unet/multi/comb"] == {"union", *bones}
    history = collect(networks, "history")
    proposed = history[history["method"] == PROPOSED]
    assert np.isfinite(proposed[[f"train_{c}" for c in pediatric.COLUMNS]]).all(axis=None)
    assert proposed["val_dice"].between(0, 1).all()
    kept = [(f / supervised.WEIGHTS).exists() for f in networks]
    assert kept == [False] * (1 + len(bones)) + [True]
    dice = collect(autoencoders, "metrics").groupby("method")["structure"].unique()
    assert list(dice["autoencoder/global"]) == ["union"]
    assert list(dice["autoencoder/multi"]) == list(bones)


def test_what_the_stages_store(finished):
    _, networks, (individual, union, multi) = of_joint(finished, "ankle")
    assert evaluation.stored_labels(union).max() <= 1
    labels = evaluation.stored_labels(multi)
    assert labels.shape == (SHAPE[2], 32, 32) and labels.dtype == np.uint8 and labels.max() <= 3
    for folder in networks:
        p = evaluation.stored_probabilities(folder)
        trial = stored_trial(folder)
        assert p.shape == (pediatric.channels(trial), SHAPE[2], 32, 32) and p.dtype == np.uint8
        if len(p) > 1:
            assert np.abs(p.astype(int).sum(0) - 255).max() <= 3
    slices = pd.read_csv(individual / "slices.csv")
    assert set(slices["metric"]) == {"dice", "sensitivity", "specificity"}
    assert slices["position"].between(0, 1).all()
    names = stored_trial(individual).networks
    assert [name.split("-fold0")[0].rsplit("-", 1)[1] for name in names] == list(JOINTS["ankle"])


def test_every_trial_is_used_again_and_planned(finished, data_root):
    stages, folders, sources = finished
    assert STUDY.run(stages, sources, cached_only=True) == folders
    trials = [trial for stage in stages for trial in stage]
    assert [STUDY.stored_trial(f) for named in folders for f in named] == trials
    table = plan(STUDY, profile="smoke", data_root=data_root, seed=42, device="cpu")
    assert len(table) == 13 + 11 and set(table["status"]) == {"cached"}


def test_shape_codes_are_of_single_bones_of_seen_examinations(finished, data_root):
    multi, union = of_joint(finished, "shoulder")[0][:2]
    for folder in (multi, union):
        vectors, bones, groups = codes.shape_codes(folder, data_root)
        assert vectors.shape == (len(bones), 16 * 8) and len(groups) == len(bones)
        assert set(bones) == set(JOINTS["shoulder"])
        assert "shoulder0" not in set(groups) and len(set(groups)) == 4  # the test examination


def test_a_joint_without_rows_is_left_out(tmp_path):
    make_pediatric_fixture(tmp_path / "pediatric", each=3, joints=("shoulder",))
    sources = STUDY.sources(str(tmp_path), "smoke", 42)
    assert list(sources) == ["shoulder"]
    evaluations = STUDY.trials("paper", 42, "cpu", sources)[2]
    assert {t.fold for t in evaluations} == {0, 1, 2}
    assert {t.variant for t in evaluations} == {"shoulder"}
    table = pd.read_csv(tmp_path / "pediatric/cases.csv")
    table = table.drop(columns=["joint", "mask_scapula"])
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    with pytest.raises(DataError, match="no row of a joint; expected ankle or shoulder"):
        STUDY.sources(str(tmp_path), "smoke", 42)


def test_who_is_pathological_is_part_of_the_data(tmp_path):
    make_pediatric_fixture(tmp_path / "pediatric", each=3)
    before = pediatric_data.describe_data(str(tmp_path), "ankle", 42)
    table = pd.read_csv(tmp_path / "pediatric/cases.csv")
    table.loc[table["case"] == "shoulder2", "pathology"] = 1
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    assert pediatric_data.describe_data(str(tmp_path), "ankle", 42) == before
    table.loc[table["case"] == "ankle2", "pathology"] = 1
    table.to_csv(tmp_path / "pediatric/cases.csv", index=False)
    assert pediatric_data.describe_data(str(tmp_path), "ankle", 42) != before
