"""What the knee's figures show, on drawn frames."""

import numpy as np
import pandas as pd
import pytest

from lib.engine.study import Request
from lib.studies.knee import STUDY, data as knee, trials as knee_trials
from lib.studies.knee.figures.agreement import bland_altman
from lib.studies.knee.pictures import agreement, sequences
from tests.make.knee import make_knee_fixture

REQUEST = Request(STUDY.settings("smoke") | {"frame_step": 1}, 42, "cpu", {}, {}, str)
TRIAL = knee_trials.trial_for(REQUEST, "frame_split", "fcn_unet", "ce1")


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """Three subjects, s00 to s02, with four frames each."""
    root = tmp_path_factory.mktemp("data")
    make_knee_fixture(root / "knee", subjects=3)
    return str(root)


def shown(data_root, **facts):
    """Frames of a title, when the table tells these facts of the twelve cases."""
    data = knee.load(TRIAL, data_root)
    masks = dict(enumerate(data.masks))
    found = sequences(masks, data.cases[["case"]].assign(**facts), TRIAL, data_root)
    return {title: len(frames) for title, frames in found.items()}


def test_a_knee_of_each_side_is_shown(data_root):
    side = ["right"] * 4 + ["left"] * 8
    angles = {"flexion_deg": np.arange(12.0)}
    assert shown(data_root, side=side, **angles) == {"Right knee": 4, "Left knee": 4}


def test_a_side_that_is_known_of_some_alone(data_root):
    side = [np.nan] * 4 + ["left"] * 4 + [np.nan] * 4
    assert shown(data_root, side=side) == {"Left knee": 4}


@pytest.mark.parametrize("facts", [{}, {"side": np.nan}])
def test_without_any_side_two_subjects_are_shown(data_root, facts):
    assert shown(data_root, **facts) == {"s00": 4, "s01": 4}


def test_agreement_has_the_limits_that_its_figure_draws():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"truth": rng.normal(size=9), "value": rng.normal(size=9)})
    table.loc[4, "value"] = np.nan
    table = table.assign(source="predicted", measure="flexion_angle", unit="degrees", subject="s")
    (row,) = agreement(table).to_dict("records")
    error = (table["value"] - table["truth"]).dropna()
    assert (row["bias"], row["low"], row["high"]) == bland_altman(error)
    assert row["high"] - row["bias"] == pytest.approx(1.96 * error.std(ddof=1))
    assert (row["sd"], row["n"], row["failed"]) == (error.std(ddof=1), 8, 1)
