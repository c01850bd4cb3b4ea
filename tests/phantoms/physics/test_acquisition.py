"""The table of acquisition: every scene has its column, and values reach exposure and look."""

import numpy as np
import pytest
import torch

from lib.phantoms import SCENES
from lib.phantoms.physics.acquisition import (
    RADIOGRAPHS,
    VOLUMES,
    drawn_technique,
    imaging_ranges,
    stored,
    technique,
)
from lib.phantoms.physics.xray import Exposure, Look


def test_every_scene_has_a_column_of_known_laws():
    assert {*RADIOGRAPHS, *VOLUMES} == set(SCENES)
    for scene in SCENES:
        for law, first, second, what in imaging_ranges(scene).values():
            assert law in ("uniform", "loguniform", "lognormal") and what
            assert first < second or law == "lognormal"


def test_a_scene_takes_its_own_column():
    assert imaging_ranges("wrist")["kvp"][1:3] == (44.0, 66.0)
    assert imaging_ranges("knee")["quanta_per_mm2"][0] == "loguniform"
    assert imaging_ranges("hand")["quanta_per_mm2"][0] == "lognormal"
    assert "motion_px" in imaging_ranges("shoulder_mr")
    assert "motion_px" not in imaging_ranges("ankle_mr")


def test_technique_takes_drawn_and_fixed_values_and_leaves_the_rest():
    exposure, look = technique({"kvp": 60.0, "gamma": 1.2, "size": 9.0}, scatter_mm=40.0)
    assert exposure == Exposure(kvp=60.0, scatter_mm=40.0) and look == Look(gamma=1.2)


def test_technique_is_drawn_within_the_ranges():
    ranges = imaging_ranges("hand")
    exposure, look = drawn_technique(ranges, np.random.default_rng(0))
    for name, value in {**exposure._asdict(), **look._asdict()}.items():
        if name in ranges and ranges[name][0] == "uniform":
            assert ranges[name][1] <= value <= ranges[name][2]
    assert exposure.filter_mm == Exposure().filter_mm  # not varied by the hand


def test_stored_radiograph_is_averaged_to_8_bits():
    image, mask = torch.tensor([[0.0, 0.2], [0.3, 0.3]]), torch.tensor([[True, True], [False] * 2])
    case = stored(image, {"bone": mask}, 0.5, {"side": "left"}, fine=2)
    assert case.image == pytest.approx(round(0.2 * 255) / 255) and case.image.shape == (1, 1)
    assert case.masks["bone"].tolist() == [[True]] and case.spacing_mm == (0.5, 0.5)
