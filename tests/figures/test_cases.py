"""Figures of single cases: distributions, overlays, steps, and the comparisons with the paper."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_hex
from scipy.stats import binom

from lib import figures
from lib.base.errors import SettingError
from lib.figures.distributions import average_over_runs, median_interval
from lib.figures.looks import METHODS, REFERENCE_COLOUR
from lib.studies.wrist import figures as wrist_figures
from lib.studies.wrist.audit import paper_scores, wrist_audit
from lib.studies.wrist.figures.audit import LOSES_COLOUR, WINS_COLOUR
from tests.figures.test_figures import TRAINED, foot, metrics, texts


def violins(axes):
    return [c for c in axes.collections if isinstance(c, FillBetweenPolyCollection)]


# --- distributions -------------------------------------------------------------------------------


def test_violins_never_exceed_the_data():
    data = metrics(43)
    figure = figures.metric_distributions(data, ("f1", "iou"))
    cases = average_over_runs(data[data["dataset"] == "tight"])
    axes = figure.axes[3]  # second row, second column
    assert len(violins(axes)) == len(TRAINED)
    for violin, method in zip(violins(axes), TRAINED, strict=True):
        values = cases[(cases["method"] == method) & (cases["metric"] == "iou")]["value"]
        across = violin.get_paths()[0].vertices[:, 0]
        assert (across.min(), across.max()) == pytest.approx((values.min(), values.max()))
        assert to_hex(violin.get_facecolor()[0]).upper() == METHODS[method].colour
    for axes in figure.axes:
        assert axes.get_xlim() == (0, 1)


def test_every_case_is_a_point_and_runs_are_averaged():
    data = metrics(20, methods=["literal"])
    axes = figures.metric_distributions(data, ("f1",)).axes[0]
    points, interval, median = axes.lines
    own = data[(data["dataset"] == "whole") & (data["metric"] == "f1")]
    expected = np.sort(own.groupby("case")["value"].mean())
    np.testing.assert_allclose(np.sort(points.get_xdata()), expected)
    assert median.get_xdata() == pytest.approx([np.median(expected)])
    assert list(interval.get_xdata()) == pytest.approx(median_interval(expected))
    assert np.abs(points.get_ydata()).max() < 0.5  # stays in the row of its method


def test_labels_and_counts():
    figure = figures.metric_distributions(metrics(43), ("f1", "iou"))
    assert figure.axes[0].get_ylabel() == "Whole image\n(n = 43 cases)"
    assert [axes.get_xlabel() for axes in figure.axes[2:]] == ["F1 (fraction)", "IoU (fraction)"]
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [METHODS[name].label for name in TRAINED]
    assert figure.axes[0].yaxis.get_inverted()  # first method on top
    assert "mean over 2 runs" in foot(figure) and "Box" not in foot(figure)


@pytest.mark.parametrize(("cases", "drawn"), [(14, 0), (15, 6), (1, 0)])
def test_under_15_cases_boxes_replace_violins(cases, drawn):
    figure = figures.metric_distributions(metrics(cases, seeds=1), ("f1",))
    axes = figure.axes[0]
    assert len(violins(axes)) == drawn and len(axes.patches) == 6 - drawn
    assert ("Box" in foot(figure)) == (drawn == 0)
    assert foot(figure).startswith("Point: one case.")


def test_constant_and_undefined_values():
    data = metrics(20, seeds=1, methods=["literal"], value=0.0)
    data.loc[data.index[:3], "value"] = np.nan
    figure = figures.metric_distributions(data, ("f1", "iou"))
    figure._repr_png_()
    across = violins(figure.axes[0])[0].get_paths()[0].vertices[:, 0]
    assert set(across) == {0.0}
    assert "3 of 80 values undefined" in foot(figure)


def test_a_distance_has_its_unit_and_no_upper_limit():
    data = metrics(5).replace({"metric": {"f1": "hd95"}, "unit": {"fraction": "px"}})
    data["value"] *= 300
    axes = figures.metric_distributions(data, ("hd95",)).axes[-1]
    assert axes.get_xlabel() == "Hd95 (px)" and axes.get_xlim()[1] > 100


def test_rows_may_be_structures_but_never_mix_datasets():
    data = metrics(4)
    bones = pd.concat([data, data.assign(structure="radius")])
    with pytest.raises(SettingError, match="structure: found fracture, radius; expected one"):
        figures.metric_distributions(bones, ("f1",))
    with pytest.raises(SettingError, match="dataset: found whole, tight; expected one"):
        figures.metric_distributions(bones, ("f1",), rows="structure")
    figure = figures.metric_distributions(bones.query("dataset == 'whole'"), ("f1",), "structure")
    assert figure.axes[1].get_ylabel().startswith("Radius")


@pytest.mark.parametrize("n", range(6, 60))
def test_median_interval_is_the_tightest_with_95_percent(n):
    low, high = median_interval(np.arange(n, 0, -1.0))  # the values are their own ranks
    assert low + high == n + 1

    def coverage(rank):
        return 1 - 2 * binom.cdf(rank - 1, n, 0.5)

    assert coverage(low) >= 0.95 > coverage(low + 1)


def test_median_interval_of_few_values_is_the_range():
    assert median_interval([3.0, 1.0, 2.0]) == (1, 3) and median_interval([2.0]) == (2, 2)


# --- overlays ------------------------------------------------------------------------------------


def overlay(predicted=True):
    reference, prediction = np.zeros((2, 32, 48), bool)
    reference[4:10, 0:7] = True
    prediction[20:28, 30:48] = predicted
    scores = {name: {"F1": 0.5, "HD95 (px)": 12.345} for name in TRAINED[:2]}
    image = np.linspace(0.2, 0.4, reference.size).reshape(reference.shape)
    masks = dict.fromkeys(TRAINED[:2], prediction)
    return figures.Overlay("Best: a", image, reference, masks, scores)


def outline(axes, colour):
    found = [c for c in axes.collections if to_hex(c.get_edgecolor()[0]).upper() == colour]
    return [c.get_paths()[0].get_extents().extents.tolist() for c in found]


def test_overlays_draw_reference_and_prediction_where_they_are():
    figure = figures.overlays([overlay(), overlay()])
    assert len(figure.axes) == 6
    plain, first = figure.axes[:2]
    assert outline(plain, REFERENCE_COLOUR) == [[-0.5, 3.5, 6.5, 9.5]]
    assert outline(first, REFERENCE_COLOUR) == [[-0.5, 3.5, 6.5, 9.5]]
    assert outline(first, METHODS["fixed_half"].colour) == [[29.5, 19.5, 47.5, 27.5]]
    assert outline(plain, METHODS["fixed_half"].colour) == []
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0, 1)}
    assert first.get_xlabel() == "F1 0.50   HD95 (px) 12.35"
    assert first.get_title() == "Fixed 0.5 + 0.5" and plain.get_ylabel() == "Best: a"
    assert texts(figure) == ["Reference", "Fixed 0.5 + 0.5", "Fixed 1 + 1"]
    assert foot(figure).startswith("n = 2 cases")


def test_an_empty_prediction_is_said():
    axes = figures.overlays([overlay(predicted=False)]).axes[1]
    assert [text.get_text() for text in axes.texts] == ["nothing predicted"]


def test_best_median_and_worst_case_by_hand():
    frame = pd.DataFrame(
        [("a", 0.2), ("a", 0.4), ("b", 0.9), ("c", 0.1), ("d", 0.9), ("e", math.nan)],
        columns=["case", "value"],
    ).assign(method="literal", metric="f1")
    others = frame.assign(method="reversed", value=1.0)
    picks = figures.best_median_worst(pd.concat([others, frame]), "literal")
    assert picks == {"best": "b", "median": "a", "worst": "c"}


# --- steps ---------------------------------------------------------------------------------------


def test_pipeline_steps():
    mask = np.zeros((32, 32), bool)
    mask[3:5, 6:9] = True
    steps = {
        "Original": np.full((40, 30), 7, np.uint8),
        "Resize": np.full((32, 32), 0.5, np.float32),
        "Otsu": np.eye(32, dtype=int) * 3,
    }
    boxes = np.array([[1.0, 2, 5, 9]])
    figure = wrist_figures.pipeline_steps(steps, {"Original": boxes, "Resize": mask})
    original, resize, otsu, *histograms = figure.axes
    assert [axes.get_title() for axes in figure.axes[:3]] == list(steps)
    assert [axes.images[0].get_clim() for axes in (original, resize, otsu)] == [
        (0, 255),
        (0, 1),
        (0, 3),
    ]
    assert original.get_xlabel() == "30 x 40 px"
    assert original.lines[0].get_path().get_extents().extents.tolist() == [1, 2, 5, 9]
    assert outline(resize, "#D55E00") == [[5.5, 2.5, 8.5, 4.5]]
    counts = [sum(bar.get_height() for bar in axes.patches) for axes in histograms]
    assert counts == [1200, 1024, 1024]
    assert foot(figure).startswith("n = 1 case")


# --- beside the paper ----------------------------------------------------------------------------


def test_beside_paper():
    ours = paper_scores().assign(source="tight", n=43)
    ours["low"], ours["high"] = ours["value"] - 0.1, ours["value"] + 0.1
    figure = wrist_figures.beside_paper(pd.concat([paper_scores(), ours]))
    accuracy = figure.axes[0]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [f"{name} (fraction)" for name in ("Accuracy", "Precision", "Recall", "F1")]
    names = [text.get_text() for text in accuracy.get_yticklabels()]
    assert names == ["Paper\n(n = 40)", "Ours, tight crop\n(n = 43)"]
    dots = [line for line in accuracy.lines if line.get_marker() in "oD"]
    assert [dot.get_xdata()[0] for dot in dots] == [0.7076, 0.7134, 0.7076, 0.7134]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, True, False, False]
    bars = [list(line.get_xdata()) for line in accuracy.lines if line.get_color() == "#000000"]
    assert bars == [[0.7612, 0.7612]] * 2
    whiskers = [list(line.get_xdata()) for line in accuracy.lines if len(line.get_xdata()) == 2]
    assert [pytest.approx(w) for w in ([0.6076, 0.8076], [0.6134, 0.8134])] == whiskers[-3:-1]
    assert texts(figure) == ["Fixed 0.5 + 0.5", "Complementary", "All positive"]
    assert "95 % bootstrap interval over subjects" in foot(figure)  # as pooled_scores resamples


def test_prevalence_shows_who_loses_to_all_positive():
    figure = wrist_figures.prevalence(wrist_audit())
    for axes in figure.axes:
        links = [line for line in axes.lines if line.get_marker() == "None"]
        won = [line.get_ydata()[0] for line in links if line.get_color() == WINS_COLOUR]
        assert won == [6, 9]  # images 5 and 40
        assert sum(line.get_color() == LOSES_COLOUR for line in links) == 8
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names[1] == "Adaptive linear, overall  (prevalence 0.761)"
    assert [axes.get_xlabel() for axes in figure.axes] == ["Accuracy (fraction)", "F1 (fraction)"]
    assert "n = 40" in foot(figure)
