"""The humerus study's figures show what their frames hold."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from lib.figures.looks import method_style
from lib.losses import signed_distance
from lib.studies.humerus import figures
from lib.studies.humerus.methods import METHODS as TRAINED


def foot(figure):
    return figure.get_supxlabel()


def titles(figure):
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.fixture
def metrics():
    rng = np.random.default_rng(0)
    rows = [
        {"dataset": "by_patient", "structure": "humerus", "method": method, "fold": i % 5}
        | {"seed": 0, "case": f"c{i}", "metric": metric, "unit": unit, "value": value}
        for method in ("bce", "dice_boundary")
        for i in range(30)
        for metric, unit, value in (
            ("dice", "fraction", 0.9 + 0.01 * rng.standard_normal()),
            ("hd", "px", 360.6 if i == 7 else 12 + rng.standard_normal()),
        )
    ]
    return pd.DataFrame(rows)


def test_every_method_has_a_look_of_its_own():
    looks = [figures.looks.METHODS[method] for method in TRAINED]
    assert len({look.label for look in looks}) == len(looks)
    shades = rgb2lab(np.array([to_rgb(look.colour) for look in looks]))
    for (a, first), (b, second) in combinations(zip(shades, looks, strict=True), 2):
        assert deltaE_ciede2000(a, b) > (5 if first.marker != second.marker else 10)


def test_violins_clip_at_three_sd_and_say_how_many(metrics):
    clipped = figures.metric_distributions(metrics, ("dice", "hd"), clip_sd=3)
    whole = figures.metric_distributions(metrics, ("dice", "hd"))
    assert "2 of 120 values beyond 3 SD" in foot(clipped)
    assert "beyond" not in foot(whole)
    largest = [max(line.get_xdata().max() for line in f.axes[1].lines) for f in (clipped, whole)]
    assert largest[0] < 20 and largest[1] == pytest.approx(360.6)
    assert whole.axes[1].get_xlabel() == "Hausdorff distance (px)"


def test_weights_of_the_terms_are_drawn_for_methods_that_have_them():
    history = pd.DataFrame(
        [
            {"method": m, "fold": f, "epoch": e, "weight_bce": w, "weight_boundary": w / 10}
            for m, scale in (("bce_boundary", 1.0), ("bce", np.nan))
            for f in (0, 1)
            for e, w in enumerate(scale * np.array([0.5, 2.0]) * (1 + f))
        ]
    )
    figure = figures.term_weights(history)
    assert titles(figure) == ["BCE + boundary"]
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert lines["BCE"] == pytest.approx([0.75, 3.0])  # mean over folds
    assert lines["Boundary"] == pytest.approx([0.075, 0.3])


def test_beside_the_paper_open_and_filled():
    ours = pd.DataFrame(
        {"method": ["bce", "focal_adaptive"], "metric": "dice", "mean": [0.8, 0.85]}
        | {"sd": [0.02, 0.01], "n": 2, "images": 70}
    )
    paper = pd.DataFrame({"method": ["bce"], "metric": ["dice"], "mean": [0.904], "sd": [0.026]})
    figure = figures.folds_beside_paper(ours, paper)
    points = [line for line in figure.axes[0].lines if line.get_marker() not in ("", "None", None)]
    found = {(float(p.get_xdata()[0]), p.get_markerfacecolor() == "white") for p in points}
    assert found == {(0.8, False), (0.85, False), (0.904, True)}
    assert "ours n = 2, 70 images" in foot(figure)


def test_hardest_case_has_a_picture_a_method_with_scores():
    image, mask = np.zeros((32, 32)), np.zeros((32, 32), bool)
    mask[8:20, 8:20] = True
    scores = {m: {"Dice": 0.5, "HD px": 12.34} for m in ("bce", "dice")}
    predictions = {"bce": mask, "dice": np.zeros_like(mask)}
    figure = figures.overlay_methods(figures.Overlay("case 3", image, mask, predictions, scores))
    assert titles(figure) == ["Reference", method_style("bce").label, method_style("dice").label]
    assert figure.axes[1].get_xlabel() == "Dice 0.5   HD px 12.3"
    assert [text.get_text() for text in figure.axes[2].texts] == ["nothing predicted"]
    assert "case 3" in foot(figure)


def test_distance_map_has_its_contour_and_unit():
    mask = np.zeros((40, 40), bool)
    mask[10:30, 15:25] = True
    figure = figures.distance_map(mask * 0.5, mask, signed_distance(mask))
    shown = figure.axes[1].images[0]
    low, high = shown.get_clim()
    assert low == -high and high == np.abs(signed_distance(mask)).max()
    assert any("px" in axes.get_ylabel() for axes in figure.axes)


def test_runaway_and_augmentation():
    frame = pd.DataFrame(
        {"form": form, "step": range(5), "boundary": 1.0, "weight": 10.0, "total": sign * 1e6}
        for form, sign in (("raw", -1), ("shifted", 1))
    ).explode("step")
    figure = figures.runaway(frame.astype({"step": int}))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    pair = (np.zeros((16, 16)), np.eye(16, dtype=bool))
    assert titles(figures.augmented([pair] * 3)) == ["Original", "Epoch 1", "Epoch 2"]
