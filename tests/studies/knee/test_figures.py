"""The knee study's figures show what their frames hold."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from lib.figures.looks import method_style
from lib.models.knee_networks import NETWORKS as TRAINED
from lib.studies.knee.data import STRUCTURES as CHANNELS
from lib.studies.knee.figures.agreement import bland_altman, measured_against_truth
from lib.studies.knee.figures.bars import ce1_ce2, rank_stability, top_models
from lib.studies.knee.figures.efficiency import frontier, pareto_front
from lib.studies.knee.figures.grid import FRAME_COLOUR, model_heat_maps
from lib.studies.knee.figures.looks import (
    LOSS_LABELS,
    NETWORKS,
    STRUCTURES,
    loss_label,
    model_label,
    ordered_losses,
)
from lib.studies.knee.figures.schedule import training_course
from lib.studies.knee.figures.sequences import SequenceFrame, multi_overlay, sequence
from lib.studies.knee.losses import MIXES

# Linear RGB as seen without red, green and blue cones (Machado, Oliveira and Fernandes 2009).
COLOUR_BLINDNESS = [
    [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9309, 0.1476], [0.0047, 0.6914, 0.3039]],
]


def foot(figure):
    return figure.get_supxlabel()


def texts(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def points(axes):
    """(x, y, marker, filled) of every single marker."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_marker(), line.get_mfc())
        for line in axes.lines
        if len(line.get_xdata()) == 1
    ]


# --- tables of the style -------------------------------------------------------------------------


def test_every_network_loss_and_structure_has_a_look():
    assert list(NETWORKS) == list(TRAINED)
    assert set(MIXES) == set(LOSS_LABELS)
    assert tuple(STRUCTURES) == CHANNELS
    for table in (NETWORKS.values(), LOSS_LABELS.values(), STRUCTURES.values()):
        assert len(set(table)) == len(list(table))
    assert len({look.marker for look in NETWORKS.values()}) == len(NETWORKS)
    assert loss_label("ce3_only") == "Ce3 only"
    assert ordered_losses(["new", "ce2", "other", "ce1", "new"]) == ["ce1", "ce2", "new", "other"]
    assert model_label("pspnet", "ce2_dice_90_10", " ") == "PSPNet_R50c CE2+DICE .90:.10"


@pytest.mark.parametrize("table", [STRUCTURES.values(), [n.colour for n in NETWORKS.values()]])
@pytest.mark.parametrize("matrix", [np.eye(3), *map(np.array, COLOUR_BLINDNESS)])
def test_colours_stay_apart_under_colour_blindness(table, matrix):
    linear = np.array([to_rgb(colour) for colour in table]) ** 2.2
    seen = rgb2lab(np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2))
    assert all(deltaE_ciede2000(a, b) > 10 for a, b in combinations(seen, 2))


# --- grid ----------------------------------------------------------------------------------------


@pytest.fixture
def models():
    values = {("pspnet", "ce1"): 0.8, ("pspnet", "ce2"): np.nan}
    values |= {("upernet", "ce1"): 0.9, ("upernet", "ce2"): 0.6}
    return pd.DataFrame(
        {"network": network, "loss": loss, "structure": structure, "n": n, "dice": value + extra}
        | {"hd95": 10 * value}
        for (network, loss), value in values.items()
        for structure, extra, n in (("tendon", 0.0, 40), ("femur", 0.05, 50))
    )


def cells(axes):
    return {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}


def framed(axes):
    boxes = [p for p in axes.patches if p.get_edgecolor()[:3] == to_rgb(FRAME_COLOUR)]
    return [(box.get_y() + 0.5, box.get_x() + 0.5) for box in boxes]


def test_grid_writes_every_value_and_frames_the_best(models):
    figure = model_heat_maps(models.sample(frac=1, random_state=0), "dice")
    femur, tendon, macro = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["Femur", "Tendon", "Macro"]
    assert [t.get_text() for t in femur.get_yticklabels()] == ["CE1", "CE2"]
    assert [t.get_text() for t in femur.get_xticklabels()] == ["PSPNet_R50c", "UPerNet_R50c"]
    assert cells(tendon) == {(0, 0): ".800", (0, 1): ".900", (1, 0): "–", (1, 1): ".600"}
    assert cells(macro) == {(0, 0): ".825", (0, 1): ".925", (1, 0): "–", (1, 1): ".625"}
    assert framed(tendon) == framed(macro) == [(0, 1)]
    assert "n = 40 to 50 test frames" in foot(figure)


def test_what_was_not_trained_is_not_called_undefined(models):
    rest = models[(models["network"] != "upernet") | (models["loss"] != "ce2")]
    _, tendon, macro = model_heat_maps(rest, "dice").axes
    assert cells(tendon)[1, 0] == cells(macro)[1, 0] == "–"
    assert cells(tendon)[1, 1] == cells(macro)[1, 1] == ""
    assert tendon.images[0].get_array().tolist() == [[False, False], [True, False]]


def test_bright_is_better_for_distances_too(models):
    for metric, best, worst in (("dice", (0, 1), (1, 1)), ("hd95", (1, 1), (0, 1))):
        axes = model_heat_maps(models, metric).axes[1]
        shown = axes.images[1].get_array()
        assert framed(axes) == [best]
        assert shown[best] == 1 and shown[worst] == 0
        assert np.ma.getmaskarray(shown)[1, 0] or np.isnan(shown[1, 0])
    luminance = [rgb2lab(np.array(axes.images[1].cmap(x)[:3]))[0] for x in np.linspace(0, 1, 9)]
    assert (np.diff(luminance) > 0).all()


def test_ties_and_structures_without_any_value_are_drawn(models):
    values = np.where(models["dice"] < 0.7, 0.1, 0.9)
    empty = models["structure"] == "femur"
    femur, tendon, _ = model_heat_maps(
        models.assign(dice=np.where(empty, np.nan, values)), "dice"
    ).axes
    assert set(cells(femur).values()) == {"–"} and framed(femur) == []
    shown = tendon.images[1].get_array()
    assert shown[0, 0] == shown[0, 1] == 1 and shown[1, 1] == 0
    assert len(framed(tendon)) == 3


# --- bars and ranks ------------------------------------------------------------------------------


def test_ce1_and_ce2_of_both_sources():
    frame = pd.DataFrame(
        {"source": source, "network": "pspnet", "loss": loss, "metric": metric, "value": value}
        | {"low": value - low, "high": value + low, "n": n}
        for metric in ("iou", "dice", "precision", "recall", "hd95", "assd")
        for source, loss, value, low, n in (
            ("ours", "ce1", 0.6, 0.1, 60),
            ("ours", "ce2", 0.7, 0.1, 60),
            ("paper", "ce1", 0.65, np.nan, 283),
            ("paper", "ce2", 0.75, np.nan, 283),
        )
    )
    figure = ce1_ce2(frame)
    assert figure.axes[4].get_xlabel() == "HD95 (px)"
    assert figure.axes[1].get_xlabel() == "Dice (fraction)"
    colour = method_style("pspnet").colour
    expected = [(0.6, "o", colour), (0.7, "D", colour), (0.65, "o", "white"), (0.75, "D", "white")]
    for axes in figure.axes:
        assert [(x, marker, face) for x, _, marker, face in points(axes)] == expected
    whiskers = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(ends, [0.5, 0.7]) for ends in whiskers)
    assert "ours n = 60, paper n = 283" in foot(figure)


def test_totals_rank_each_source_and_name_the_rank_in_the_other():
    rows = [
        ("ours", "pspnet", "ce2", 30),
        ("ours", "upernet", "ce2", 50),
        ("ours", "segformer", "ce2", 30),
        ("ours", "fcn_unet", "ce2", 10),
        ("paper", "pspnet", "ce2", 60),
        ("paper", "upernet", "ce2", 20),
        ("paper", "segformer", "ce2", 40),
    ]
    frame = pd.DataFrame(rows, columns=["source", "network", "loss", "value"])
    ours, paper = top_models(frame, top=3, out_of=100).axes
    assert [bar.get_width() for bar in ours.patches] == [50, 30, 30]
    assert [t.get_text() for t in ours.get_yticklabels()] == [
        "1  UPerNet_R50c  CE2",
        "2  PSPNet_R50c  CE2",
        "2  SegFormer_B2  CE2",
    ]
    assert texts(ours) == ["50   paper: 3", "30   paper: 1", "30   paper: 2"]
    assert [bar.get_width() for bar in paper.patches] == [60, 40, 20]
    assert texts(paper)[0] == "60   ours: 2"
    assert paper.get_xlim() == (0, 100)
    assert "ours n = 4, paper n = 3" in foot(paper.figure)


def test_a_model_that_only_one_source_has_gets_no_other_rank():
    rows = [("ours", "fcn_unet", "ce2", 10), ("paper", "pspnet", "ce2", 60)]
    frame = pd.DataFrame(rows, columns=["source", "network", "loss", "value"])
    assert texts(top_models(frame).axes[0]) == ["10"]


def test_rank_stability_shows_the_best_with_their_range():
    frame = pd.DataFrame({"network": "pspnet", "loss": list(LOSS_LABELS), "rank": range(20, 0, -1)})
    frame = frame.assign(median=frame["rank"] + 0.5, low=frame["rank"] - 1, high=frame["rank"] + 2)
    figure = rank_stability(frame, subjects=14, top=3)
    axes = figure.axes[0]
    names = [model_label("pspnet", loss) for loss in list(LOSS_LABELS)[:-4:-1]]
    assert [t.get_text() for t in axes.get_yticklabels()] == names
    assert [(x, y) for x, y, marker, _ in points(axes) if marker == "s"] == [
        (1.5, 0),
        (2.5, 1),
        (3.5, 2),
    ]
    assert [x for x, _, marker, _ in points(axes) if marker == "|"] == [1, 2, 3]
    assert "n = 14 test subjects" in foot(figure)
    assert axes.get_xlabel() == "Rank of 20 models"


# --- pictures ------------------------------------------------------------------------------------


@pytest.fixture
def masks():
    found = np.zeros((4, 40, 40), bool)
    for k in range(4):
        found[k, 8 * k + 2 : 8 * k + 8, 10:20] = True
    return found


def outlines(axes):
    return [to_rgb(drawn.get_edgecolor()[0]) for drawn in axes.collections]


def test_overlay_has_a_picture_a_model_in_the_structures_colours(masks):
    half, no_tendon = masks.copy(), masks.copy()
    half[3, :, 15:] = False
    no_tendon[3] = False
    found = {"A": half, "B": no_tendon, "C": np.zeros_like(masks)}
    figure = multi_overlay(np.zeros((40, 40)), masks, found, "case 3")
    reference, a, b, c = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["Reference", *"ABC"]
    colours = [to_rgb(colour) for colour in STRUCTURES.values()]
    white = [to_rgb("white")] * 4
    assert outlines(reference) == colours
    assert outlines(a) == colours + white
    assert outlines(b) == colours[:3] + white
    assert outlines(c) == white
    assert a.get_xlabel() == "Tendon Dice 0.67"
    assert b.get_xlabel() == "Tendon Dice 0.00"
    assert [texts(axes) for axes in (a, b, c)] == [[], ["no tendon"], ["nothing predicted"]]
    assert "case 3 (n = 1 frame)" in foot(figure)


def test_sequence_has_a_row_a_knee_and_its_angles(masks):
    image = np.zeros((40, 40))
    frames = [SequenceFrame(image, masks, masks, angle) for angle in (12.4, 45.6, np.nan)]
    figure = sequence({"Right knee": frames, "Left knee": frames[:2]})
    assert [axes.get_ylabel() for axes in figure.axes] == ["Right knee", "", "", "Left knee", ""]
    assert [texts(axes) for axes in figure.axes] == [["12°"], ["46°"], [], ["12°"], ["46°"]]
    assert all(len(axes.collections) == 8 for axes in figure.axes)
    assert "n = 5 frames of 2 knees" in foot(figure)


# --- training, measurements, costs ---------------------------------------------------------------


def test_schedule_marks_where_the_criteria_were_met():
    n = 30
    history = pd.DataFrame({"iteration": 50 * np.arange(1, n + 1), "learning_rate": 1e-4})
    rows = np.arange(1, n + 1)
    history["train_loss"] = np.where(rows >= 3, 0.1, 0.9)
    history["val_mean_iou"] = np.where(rows >= 3, 0.9, 0.1)
    history["val_tendon_iou"] = np.where(rows >= 7, 0.9, 0.1)
    figure = training_course(history)
    assert texts(figure.axes[0]) == ["C1, C2", "C3", "plateau"]
    assert [t.xy[0] for t in figure.axes[0].texts] == [150, 350, 850]
    assert "Not met" not in foot(figure)
    short = training_course(history.head(10))
    assert texts(short.axes[0]) == ["C1, C2", "C3"]
    assert "10 evaluations" in foot(short) and "Not met: plateau" in foot(short)


def test_agreement_by_hand():
    bias, low, high = bland_altman(pd.Series([1.0, 3.0]))
    assert (bias, low, high) == pytest.approx((2, 2 - 1.96 * 2**0.5, 2 + 1.96 * 2**0.5))
    truth = [10.0, 20.0, 30.0]
    frame = pd.DataFrame({"measure": "flexion_angle", "unit": "deg", "truth": truth})
    frame = frame.assign(subject=["a", "a", "b"], value=[11.0, 23.0, np.nan])
    height = frame.assign(measure="patella_height", unit="ratio", value=[10.0, 20.0, 31.0])
    figure = measured_against_truth(pd.concat([frame, height]))
    scatter, differences = figure.axes[:2]
    assert scatter.get_xlabel() == "Flexion angle, truth (deg)"
    assert figure.axes[3].get_ylabel() == "Measured - truth (ratio)"
    dots = differences.lines[0]
    assert dots.get_xdata().tolist() == [10.5, 21.5] and dots.get_ydata().tolist() == [1, 3]
    levels = [line.get_ydata()[0] for line in differences.lines[1:]]
    assert levels == pytest.approx([bias, low, high])
    assert "Flexion angle: n = 2 frames (1 not measured) of 1 subjects" in foot(figure)
    assert "Patella height: n = 3 frames of 2 subjects" in foot(figure)


def test_pareto_front_against_brute_force():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.integers(0, 6, (2, 40))
    models = list(zip(cost, accuracy, strict=True))
    beaten = [
        any(c <= cost_ and a >= accuracy_ and (c, a) != (cost_, accuracy_) for c, a in models)
        for cost_, accuracy_ in models
    ]
    assert pareto_front(cost, accuracy).tolist() == [not b for b in beaten]
    assert 0 < sum(beaten) < 40


def test_frontier_draws_the_front_of_each_cost():
    frame = pd.DataFrame(
        {"network": ["fcn_unet", "pspnet", "segformer"], "value": [0.8, 0.9, 0.85], "n": 50}
        | {"parameters": [10, 40, 20], "gflops": [100, 50, 60], "latency_ms": [5, 9, 20]}
    ).assign(low=lambda f: f["value"] - 0.01, high=lambda f: f["value"] + 0.01)
    figure = frontier(frame)
    fronts = [axes.lines[0].get_xdata().tolist() for axes in figure.axes]
    assert fronts == [[10, 20, 40], [50], [5, 9]]
    assert all(axes.get_xscale() == "log" for axes in figure.axes)
    assert [marker for *_, marker, _ in points(figure.axes[0])] == ["o", "s", "v"]
    assert "n = 50 test frames" in foot(figure)
