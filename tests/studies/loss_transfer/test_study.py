"""The loss transfer: what every idea computes, what its trainings share, what its table says."""

from dataclasses import asdict, replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.patches import Rectangle

from lib.app.loss_transfer import write
from lib.app.report.readme import with_part
from lib.base import paths
from lib.base.errors import SettingError
from lib.data.splits import complete_split
from lib.engine.profiles import NAMES
from lib.engine.study import PHANTOM_SEED, Source
from lib.evidence.statistics import holm
from lib.losses import (
    UncertaintyWeighting,
    binary_cross_entropy,
    dice_loss,
    focal_loss,
    signed_distance,
)
from lib.models.shape_autoencoder import ShapeAutoencoder, frozen
from lib.studies.loss_transfer import (
    STUDY,
    data as transfer_data,
    ideas as transfer_ideas,
    learn as transfer,
    results as transfer_results,
)
from lib.studies.loss_transfer.data import Data
from lib.studies.loss_transfer.figures import heat_map as drawn
from lib.studies.loss_transfer.ideas import BASELINES, IDEAS, Step
from lib.studies.loss_transfer.tasks import TASKS
from tests.make.hand import make_hand_fixture
from tests.make.humerus import make_mask_fixture
from tests.make.knee import make_knee_fixture
from tests.make.pediatric import make_pediatric_fixture
from tests.make.wrist import make_yolo_fixture

SIDE = 32
FIXTURES = {
    "humerus": make_mask_fixture,
    "wrist": make_yolo_fixture,
    "ankle": make_pediatric_fixture,
    "knee": make_knee_fixture,
    "hand": make_hand_fixture,
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """A small drawn data root of every task."""
    root = tmp_path_factory.mktemp("data")
    for name, make in FIXTURES.items():
        make(root / TASKS[name].study)
    return {name: str(root) for name in TASKS}


def step_of(structures: int, epoch: int = 1, seed: int = 0, **changes) -> Step:
    """Random logits of two images; the first structure of the second image is empty."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((2, structures, SIDE, SIDE), generator=random).requires_grad_()
    target = torch.zeros_like(logits).requires_grad_(False)
    for k in range(structures):
        target[:, k, 4 : 10 + k, 6 : 20 - k] = 1
    target[1, 0] = 0
    values = {
        "logits": logits,
        "target": target,
        "distance": signed_distance(target) / float(np.hypot(SIDE, SIDE)),
        "progress": (epoch, 4),
        "fractions": target.double().mean((0, 2, 3)),
        "weighting": UncertaintyWeighting(4),
        "prior": frozen(ShapeAutoencoder(structures, 2)),  # its first weights: any will do
    }
    return Step(**(values | changes))


def baseline(step: Step) -> float:
    parts = dice_loss(step.logits, step.target), binary_cross_entropy(step.logits, step.target)
    return sum(parts).item() / 2


# --- the ideas


@pytest.mark.parametrize(("task", "idea"), list(product(TASKS, IDEAS)))
def test_every_idea_is_finite_and_teaches_on_every_task(task, idea):
    step = step_of(len(TASKS[task].structures))
    loss = IDEAS[idea].loss(step)
    loss.backward()
    assert loss.shape == () and torch.isfinite(loss)
    gradient = step.logits.grad
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().sum((0, 2, 3)) > 0).all()  # of every structure


def test_the_linear_schedule_hands_over_from_bce_to_dice():
    first, middle, last = (step_of(2, epoch) for epoch in (0, 2, 4))
    assert transfer_ideas.linear(first).item() == pytest.approx(transfer_ideas.bce(first).item())
    assert transfer_ideas.linear(middle).item() == pytest.approx(baseline(middle))
    assert transfer_ideas.linear(last).item() == pytest.approx(transfer_ideas.dice(last).item())


def test_uncertainty_starts_with_half_of_each_term_and_learns_its_weights():
    step = step_of(2)
    p = torch.sigmoid(step.logits)
    contour = (step.distance * (p - step.target)).mean()
    focal = focal_loss(step.logits, step.target)
    loss = transfer_ideas.uncertainty(step)
    assert loss.item() == pytest.approx(baseline(step) + (focal + contour).item() / 2, rel=1e-5)
    loss.backward()
    assert (step.weighting.log_variance.grad != 0).all()


def test_the_boundary_is_added_in_shares_of_the_diagonal():
    step = step_of(3)
    pixels = signed_distance(step.target)
    added = (pixels * (torch.sigmoid(step.logits) - step.target)).mean() / np.hypot(SIDE, SIDE)
    assert transfer_ideas.boundary(step).item() == pytest.approx(
        baseline(step) + added.item(), rel=1e-5
    )


def test_one_structure_keeps_the_internal_level_of_the_dual_weights():
    step = step_of(1)
    share, y = float(step.fractions[0]), step.target
    cost = torch.nn.functional.binary_cross_entropy_with_logits(step.logits, y, reduction="none")
    inside, outside = (cost * y).mean() / (2 * share), (cost * (1 - y)).mean() / (2 * (1 - share))
    expected = (transfer_ideas.dice(step).item() + (inside + outside).item()) / 2
    assert transfer_ideas.dual_level(step).item() == pytest.approx(expected, rel=1e-5)


class Halves(ShapeAutoencoder):
    """Its code is the mean of the left half and that of the right one, times 100."""

    def encode(self, mask):
        return 100 * torch.stack([half.mean((1, 2, 3)) for half in mask.chunk(2, 3)], 1)


def test_the_shape_prior_costs_nothing_where_the_mask_is_right():
    step = step_of(2, prior=Halves(2, 2))
    right = step._replace(logits=200 * step.target - 100)
    assert transfer_ideas.shape(right).item() == pytest.approx(baseline(right), abs=1e-6)
    p, y = (mask.chunk(2, 3) for mask in (torch.sigmoid(step.logits), step.target))
    gaps = [(a.mean((1, 2, 3)) - b.mean((1, 2, 3))).square() for a, b in zip(p, y, strict=True)]
    expected = baseline(step) + 0.1 * 100**2 * torch.stack(gaps).mean().item()
    assert transfer_ideas.shape(step).item() == pytest.approx(expected, rel=1e-5)


def test_soft_iou_is_the_cost_of_the_only_plan():
    step = step_of(3)
    p, y = torch.sigmoid(step.logits), step.target
    overlap, both = (p * y).sum((2, 3)), (p + y).sum((2, 3))
    cost = 1 - ((overlap + 1) / (both - overlap + 1)).mean()
    expected = (cost + transfer_ideas.bce(step)).item() / 2
    assert transfer_ideas.soft_iou(step).item() == pytest.approx(expected, rel=1e-5)


def test_every_idea_but_the_baselines_has_a_home():
    homes = {name: idea.home for name, idea in IDEAS.items()}
    assert {name for name, home in homes.items() if not home} == set(BASELINES)
    assert set(homes.values()) - {""} == set(TASKS)


# --- the trainings


def listed(profile, seed):
    (trials,) = STUDY.trials(profile, seed, "cpu", dict.fromkeys(TASKS, Source("", "data", 1)))
    return trials


@pytest.mark.parametrize("profile", NAMES)
def test_trainings_differ_in_nothing_but_task_idea_and_seed(profile):
    trials = listed(profile, 7)
    assert len(set(trials)) == len(trials)
    seeds = {trial.seed for trial in trials}
    assert {(t.variant, t.method, t.seed) for t in trials} == set(product(TASKS, IDEAS, seeds))
    own = ("variant", "method", "seed")
    rest = [{key: value for key, value in asdict(t).items() if key not in own} for t in trials]
    assert all(other == rest[0] for other in rest)
    assert all(trial.data_of == TASKS[trial.variant].study for trial in trials)
    assert all(STUDY.is_current_trial(trial, "data") for trial in trials[::9])
    assert not STUDY.is_current_trial(replace(trials[0], epochs=999), "data")


def test_a_seed_that_cannot_be_used_is_refused():
    with pytest.raises(SettingError, match="seed"):
        listed("quick", -1)


def test_its_phantoms_are_of_no_study_and_enough_ankles_are_tested(monkeypatch):
    asked = {}

    def phantom_root(scene, cases, size, seed):
        asked[scene] = cases, size, seed
        return f"made/{scene}"

    monkeypatch.setattr(transfer_data, "phantom_root", phantom_root)
    roots = STUDY.roots("", "quick")
    assert roots == {name: f"made/{task.scene}" for name, task in TASKS.items()}
    for name, task in TASKS.items():
        settings = transfer_data.SETTINGS_OF[task.study].settings("quick")
        cases, size, seed = asked[task.scene]
        assert seed != PHANTOM_SEED
        assert size == settings["phantom_size"]
        assert name == "ankle" or cases == settings["phantoms"]
    subjects = map(str, range(asked["ankle_mr"][0]))
    ankles = pd.DataFrame({"subject": subjects, "split": ""})
    fractions = transfer_data.TEST_FRACTION, transfer_data.VAL_FRACTION
    tested = (complete_split(ankles, *fractions)["split"] == "test").sum()
    assert 35 * 2 / 2**tested < 0.05  # the least p of signed ranks, after Holm


@pytest.mark.parametrize("task", TASKS)
def test_tasks_come_in_one_form_and_are_divided_by_subject(task, roots):
    trial = next(t for t in listed("smoke", 3) if t.variant == task)
    data = transfer_data.load(trial, roots[task])
    n, structures = len(data.images), len(TASKS[task].structures)
    assert data.images.dtype == np.uint8 and data.images.shape == (n, SIDE, SIDE)
    assert data.masks.dtype == bool and data.masks.shape == (n, structures, SIDE, SIDE)
    assert data.masks.any((0, 2, 3)).all()
    subjects = {part: set(data.of(part).subjects) for part in ("train", "val", "test")}
    assert all(subjects.values())
    assert sum(map(len, subjects.values())) == len(set(data.subjects))


def test_a_training_repeats_itself_and_starts_as_the_others_do(roots, tmp_path):
    trials = [t for t in listed("smoke", 3) if t.variant == "humerus"]
    first = {trial.method: trial for trial in trials if trial.seed == 3}
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        transfer.train(first["shape"], roots["humerus"], tmp_path / name)
        files = ("history.csv", "metrics.csv")
        found.append([(tmp_path / name / file).read_bytes() for file in files])
    assert found[0] == found[1]
    table = pd.read_csv(tmp_path / "a" / "metrics.csv")
    test = transfer_data.load(first["shape"], roots["humerus"]).of("test")
    assert set(table["subject"]) == set(test.subjects)
    assert table["value"].between(0, 1).all()


def test_channels_start_at_the_share_of_their_structure():
    learner = transfer.Learner(next(t for t in listed("smoke", 3) if t.variant == "ankle"))
    learner.start_at(torch.tensor([0.5, 0.1, 0.0]))
    expected = [0, np.log(1 / 9), np.log(1e-4 / (1 - 1e-4))]
    assert learner.network.head.bias.tolist() == pytest.approx(expected, rel=1e-4)


def test_dice_is_that_of_all_pictures_of_a_subject():
    masks = np.zeros((3, 1, 2, 2), bool)
    masks[0, 0, 0] = True  # two pixels; the second picture of A shows nothing, B nothing at all
    predicted = np.zeros_like(masks)
    predicted[0, 0, 0, 0] = predicted[1, 0, 0, 0] = True  # one hit, one false alarm
    data = Data(np.zeros((3, 2, 2), np.uint8), masks, np.array(["A", "A", "B"]), np.full(3, "test"))
    trial = next(t for t in listed("smoke", 3) if t.variant == "wrist")
    table = transfer.case_metrics(trial, predicted, data)
    assert table[["subject", "structure", "value"]].values.tolist() == [["A", "fracture", 0.5]]


# --- the table

OFFSETS = {"bce": -0.1, "linear": 0.02, "uncertainty": 0.0, "boundary": 0.05}


def made_metrics(subjects: int = 8) -> pd.DataFrame:
    """Dice 0.5 + 0.01 x subject + 0.1 x seed +- 0.1 of two structures, plus the idea's offset."""
    rows = [
        {"dataset": task, "method": idea, "seed": seed, "subject": f"S{subject}"}
        | {"structure": f"s{sign}", "metric": "dice"}
        | {"value": 0.5 + 0.01 * subject + 0.1 * seed + 0.1 * sign + OFFSETS.get(idea, 0)}
        for task, idea in product(TASKS, IDEAS)
        for seed, subject, sign in product((0, 1), range(subjects), (-1, 1))
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def table():
    return transfer_results.cells(made_metrics())


def cell(table, task, idea, against="dice_bce"):
    chosen = (table["task"] == task) & (table["idea"] == idea) & (table["baseline"] == against)
    (row,) = table[chosen].to_dict("records")
    return row


def test_cells_by_hand(table):
    assert len(table) == 2 * 5 * 8
    row = cell(table, "humerus", "boundary")
    assert row["home"] and (row["structures"], row["seeds"], row["n"]) == (2, 2, 8)
    assert row["mean"] == pytest.approx(0.5 + 0.035 + 0.05 + 0.05)
    assert row["sd"] == pytest.approx(0.1 / np.sqrt(2))
    assert row["sd_subjects"] == pytest.approx(0.01 * np.sqrt(6))  # of 0 to 7
    assert [row[k] for k in ("difference", "low", "high")] == pytest.approx([0.05] * 3)
    assert row["p"] == pytest.approx(2 / 2**8)
    other = cell(table, "knee", "linear", "bce")
    assert other["difference"] == pytest.approx(0.12) and not other["home"]
    same = cell(table, "knee", "dice_bce")
    assert same["difference"] == 0 and np.isnan(same["low"]) and np.isnan(same["p_holm"])


@pytest.mark.parametrize("against", BASELINES)
def test_p_is_adjusted_over_all_cells_of_a_baseline(table, against):
    tested = table[(table["baseline"] == against) & (table["idea"] != against)]
    assert len(tested) == 35
    assert tested["p_holm"].tolist() == pytest.approx(holm(tested["p"]).tolist())


def test_seeds_that_disagree_widen_the_interval():
    apart = np.repeat([[0.0], [1.0]], 5, axis=1)  # subjects alike: only the seeds differ
    assert transfer_results.crossed_interval(apart) == (0.0, 1.0)
    along = np.repeat([[0.0, 1.0]], 3, axis=0)  # seeds alike: two subjects differ
    assert transfer_results.crossed_interval(along) == (0.0, 1.0)
    assert transfer_results.crossed_interval(np.full((3, 4), 0.25)) == (0.25, 0.25)


def test_the_interval_is_as_wide_as_its_theory_says():
    random = np.random.default_rng(0)
    seeds, subjects = random.normal(0, 1, (20, 1)), random.normal(0, 1, (1, 30))
    low, high = transfer_results.crossed_interval(seeds + subjects)
    variance = seeds.var() / 20 + subjects.var() / 30
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.05)


def test_structures_by_hand():
    found = transfer_results.by_structure(made_metrics(2))
    assert len(found) == 5 * 8 * 2 * 2
    row = found[(found["idea"] == "bce") & (found["structure"] == "s1")].iloc[0]
    assert (row["task"], row["seed"], row["n"]) == ("humerus", 0, 2)
    assert row["mean"] == pytest.approx(0.505) and row["sd"] == pytest.approx(0.01 / np.sqrt(2))


def test_the_paragraph_tells_the_table(table):
    text = transfer_results.paragraph(table, 300)
    assert "300 steps and 2 seeds" in text and "35 pairs" in text
    # linear and boundary gain on all five tasks, BCE loses on all and to all
    assert "10 have a 95 % interval above 0 and 5 one below it (seeds" in text
    assert "Against BCE alone, 35 have a 95 % interval above 0 and 0 one below it." in text
    assert "the boundary loss on humerus +0.050 (0.050 to 0.050; Dice 0.635)" in text
    assert "largest loss: BCE on humerus -0.100" in text
    assert "mean over 4 tasks: the linear schedule +0.020" in text
    assert "simulated" in text


# --- the figure


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_figure_labels_every_task_idea_and_cell(table):
    figure = drawn.heat_map(table[table["baseline"] == "dice_bce"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(drawn.IDEAS.values())
    heads = [label.get_text() for label in axes.get_xticklabels()]
    assert heads == [f"{name}\n2 structures, n = 8" for name in drawn.TASKS.values()]
    written = texts(axes)
    assert len(written) == 40
    assert written[0] == "0.585"  # the baseline: no difference
    assert written[5] == "0.485\n\N{MINUS SIGN}0.100 *"
    assert written[10] == "0.605\n+0.020 *"
    assert sum(text.endswith("*") for text in written) == 15
    frames = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert len(frames) == sum(bool(idea.home) for idea in IDEAS.values())
    assert "2 seeds" in figure.get_supxlabel()


def test_every_task_and_idea_has_a_label():
    assert list(drawn.TASKS) == list(TASKS) and list(drawn.IDEAS) == list(IDEAS)
    assert list(transfer_results.WORDS) == list(IDEAS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t, "each once"),
        (lambda t: t[t["baseline"] == "bce"].iloc[1:], "each once"),
        (lambda t: t[t["baseline"] == "bce"].replace("knee", "elbow"), "'elbow'"),
    ],
)
def test_cells_that_do_not_fit_are_refused(table, change, message):
    with pytest.raises(SettingError, match=message):
        drawn.heat_map(change(table))


def test_everything_is_written(table, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    structures = transfer_results.by_structure(made_metrics(2))
    write("transfer", table, structures, "Words.\n", {"profile": "smoke"})
    names = {path.name for path in (tmp_path / "transfer").iterdir()}
    assert names == {"transfer.png", "transfer.svg", "transfer.csv", "results.csv",
                     "paragraph.md", "provenance.json"}  # fmt: skip
    kept = pd.read_csv(tmp_path / "transfer" / "transfer.csv")
    pd.testing.assert_frame_equal(kept, table, check_dtype=False)
    assert "Synthetic" in (tmp_path / "transfer" / "transfer.svg").read_text()


def test_the_readme_says_what_the_published_matrix_says():
    published = (paths.FIGURES / "transfer" / "paragraph.md").read_text(encoding="utf-8").strip()
    text = (paths.ROOT / "README.md").read_text(encoding="utf-8")
    assert with_part(text, "transfer", published) == text, "Fix: python -m lib.app.loss_transfer"
