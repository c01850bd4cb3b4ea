"""The measures that phantoms are judged by, against pictures whose answer is known."""

import cv2
import numpy as np
import pandas as pd
import pytest

from lib.app.phantom_validation import __main__ as command, difficulty, realism, transfer, variety
from lib.base.errors import DataError
from lib.phantoms import load_scene


def power_law(slope, seed=0, side=256):
    """Random picture whose power falls with frequency**-slope."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side)] * 2))
    frequency[0, 0] = 1
    white = np.fft.fft2(rng.normal(size=(side, side)))
    return np.fft.ifft2(white * frequency ** (-slope / 2)).real


# --- realism


@pytest.mark.parametrize("slope", [1.0, 2.5])
def test_slopes_of_power_laws_are_found(slope):
    found = pd.DataFrame([realism.slopes(power_law(slope, seed)) for seed in range(12)]).mean()
    assert found["low"] == pytest.approx(slope, abs=0.2)
    assert found["high"] == pytest.approx(slope, abs=0.05)


def test_radial_power_of_a_wave_lies_at_its_frequency():
    columns = np.arange(256)
    wave = np.tile(np.sin(2 * np.pi * 32 / 256 * columns), (256, 1))
    power = realism.radial_power(wave)
    assert realism.radial_frequencies(256)[power.argmax()] == 32 / 256
    assert power.sum() == pytest.approx(1)


def test_grey_levels_leave_out_what_was_not_exposed():
    picture = np.zeros((256, 256))
    picture[:, :100], picture[:, 100:110] = 0.5, 1.0
    table = realism.grey_levels([picture, picture])
    assert table["mean"].sum() == pytest.approx(1)
    assert table.loc[table["mean"] > 0, "grey_level"].item() == pytest.approx(0.5, abs=1 / 32)
    row = realism.numbers("wrist", "real", [picture, picture])
    assert row["median_grey"] == 0.5


def test_real_pictures_are_inverted_and_of_one_height(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((512, 300), 51, np.uint8))
    (picture,) = realism.real_pictures(tmp_path, invert=True)
    assert picture.shape == (256, 256)
    assert picture[:, 128] == pytest.approx(0.8)


def test_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(DataError, match="no picture"):
        realism.real_pictures(tmp_path)


# --- difficulty


@pytest.mark.parametrize("scene", ["knee", "ankle_mr"])
def test_calibration_never_tests_on_a_training_subject(scene):
    training, testing = difficulty.split(scene)
    generate = load_scene(scene).generate
    size = (4, 16, 16) if difficulty.is_volume(scene) else 32
    trained, tested = (
        {generate(0, i, size).truth["subject"] for i in part} for part in (training, testing)
    )
    assert len(training) in (difficulty.TRAINING, difficulty.TRAINING_VOLUMES)
    assert len(testing) >= 4
    assert not trained & tested


def test_calibration_learns_what_is_plain_and_not_what_is_absent(monkeypatch):
    monkeypatch.setattr(difficulty, "ITERATIONS", 40)
    monkeypatch.setattr(difficulty, "WIDTH", 4)
    monkeypatch.setattr(difficulty, "LEARNING_RATE", 1e-2)
    rng = np.random.default_rng(0)

    def case(visible):
        mask = np.zeros((2, 1, 32, 32), bool)
        top, left = rng.integers(0, 16, 2)
        mask[:, :, top : top + 14, left : left + 14] = True
        noise = rng.normal(0, 0.3, (1, 32, 32))
        return difficulty.Sample(noise + 2 * visible * mask[0], mask)

    def score(visible):
        network = difficulty.train([case(visible) for _ in range(16)], seed=0)
        test = case(visible)
        return difficulty.dice(difficulty.predict(network, test.image)[0], test.masks[0])

    assert score(True) > 0.9
    assert score(False) < 0.7


def test_sample_holds_the_union_first():
    case = difficulty.sample("hand", 3)
    assert case.image.shape == (1, 128, 128)
    assert np.array_equal(case.masks[0], case.masks[1:].any(0))
    assert case.image[:, :, :82].std() > 0.5


# --- variety


def test_a_copy_is_its_own_nearest_neighbour(monkeypatch):
    monkeypatch.setattr(variety, "CASES", 6)
    table = variety.variety("hand")
    assert (table["distance"] > 0.2).all()
    assert (table["distance"] <= table["median_distance"]).all()
    original = variety.sample
    first = original("hand", 0)
    monkeypatch.setattr(variety, "sample", lambda s, i: first if i in (0, 269) else original(s, i))
    copied = variety.variety("hand").set_index("case")
    assert copied.loc[0, "nearest_case"] == 269
    assert copied.loc[0, ["distance", "nearest_dice"]].tolist() == [0, 1]


# --- transfer and command


def test_transfer_compares_every_arm_on_the_same_real_cases(monkeypatch):
    asked = []

    def run_arm(trial, real_root, phantom_root, arm):
        asked.append((trial.seed, arm))
        rows = [
            {"dataset": "whole", "method": arm, "fold": 0, "seed": trial.seed, "subject": s}
            | {"case": s, "structure": "fracture", "metric": m, "unit": "px", "value": value}
            for s in "abc"
            for m, value in {"tp": 2 + transfer.ARMS.index(arm), "fp": 1, "fn": 1, "tn": 9}.items()
        ]
        return pd.DataFrame(rows)

    monkeypatch.setattr(transfer, "run_arm", run_arm)
    monkeypatch.setattr(type(transfer.STUDY), "phantoms", lambda study, profile: {"": "phantoms"})
    monkeypatch.setattr(transfer, "run_in_processes", lambda f, jobs, **_: [f(*j) for j in jobs])
    monkeypatch.setattr(transfer, "trivial_baselines", lambda root, trials: pd.DataFrame())
    scores, differences = transfer.transfer("real", "smoke", seeds=2)
    assert sorted(asked) == sorted((s, arm) for s in (42, 43) for arm in transfer.ARMS)
    f1 = scores[scores["metric"] == "f1"].set_index("method")["mean"]
    assert f1["real"] == pytest.approx(4 / 6)
    assert f1["phantoms, then real"] == pytest.approx(10 / 12)
    rows = differences[(differences["metric"] == "f1") & (differences["baseline"] == "real")]
    gain = rows.set_index("method")["difference"]["phantoms, then real"]
    assert gain == pytest.approx(10 / 12 - 4 / 6)


def test_a_second_lesson_draws_anew(monkeypatch):
    given = []
    for name, function in {
        "network": lambda trial: "network",
        "learning": lambda trial, model, data, parts: (trial.seed, parts["test"]),
        "predict": lambda *_: np.ones(1),
        "case_metrics": lambda trial, part, masks: (trial.seed, trial.method),
    }.items():
        monkeypatch.setattr(transfer.wrist, name, function)
    monkeypatch.setattr(transfer, "load", lambda trial, root: {"test": root})
    monkeypatch.setattr(transfer, "learn", lambda lesson, model: given.append(lesson))
    trial = transfer.baseline("smoke", 42, 0)
    for arm in transfer.ARMS:
        assert transfer.run_arm(trial, "real", "phantoms", arm) == (42, arm)
    first, second = (42, 42 + transfer.APART)
    assert given == [
        *[(first, "real")],
        *[(first, "real"), (second, "real")],
        *[(first, "phantoms")],
        *[(first, "phantoms"), (second, "real")],
    ]


def test_command_says_what_is_missing(capsys, tmp_path):
    with pytest.raises(SystemExit):
        command.main(["realism", "--scene", "wrist"])
    assert "needs --real" in capsys.readouterr().err
    assert command.main(["realism", "--scene", "wrist", "--real", str(tmp_path)]) == 2
    assert "no picture" in capsys.readouterr().err
