"""The hand study's figures show what their frames hold."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab
from sklearn.metrics import roc_auc_score, roc_curve

from lib.base.errors import SettingError
from lib.figures.looks import bone_look
from lib.figures.pictures import blend
from lib.losses.self_supervised import collapse_monitors
from lib.metrics.uncertainty import expected_calibration_error, reliability_table
from lib.studies.hand import figures, scores as hand_scores
from lib.studies.hand.figures.looks import HAND_BONES, METHODS
from lib.studies.hand.figures.roc import GRID, bootstrap_roc, draw_subjects
from lib.studies.hand.results import draws, mean_auc

LEARNERS = ("simclr", "supcon", "swav", "vicreg")


def foot(figure):
    return figure.get_supxlabel()


def texts(axes):
    return [text.get_text() for text in axes.texts]


# --- made-up data --------------------------------------------------------------------------------


def predictions(subjects=40, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(subjects):
        label = int(i % 3 == 0)
        level = rng.normal(0.35 + 0.25 * label, 0.15)
        for place, bone in enumerate(HAND_BONES):
            if (i + place) % 11:  # some bones are absent
                value = np.clip(level + 0.1 * rng.standard_normal() + 0.02 * place, 0, 1)
                rows.append(
                    {"subject": f"s{i}", "label": label, "bone": bone, "probability": value}
                )
    return pd.DataFrame(rows)


def bone_means():
    """What ``hand_results.bone_means`` gives."""
    table = predictions()
    table = table[table["label"] == 1]
    found = table.groupby("subject")["probability"].transform("mean") >= 0.5
    return table.assign(group=np.where(found, "true positives", "false negatives"))


def by_subject(methods=LEARNERS):
    tables = []
    for seed, method in enumerate(methods):
        means = predictions(seed=seed).groupby(["subject", "label"], as_index=False)
        tables.append(means["probability"].mean().assign(method=method))
    return pd.concat(tables)


def calibration():
    rng = np.random.default_rng(3)
    tables = []
    for method, bend in (("mose", 1.1), ("unet", 2.0)):
        probability = rng.uniform(0, 1, 5000) ** 0.3
        observed = rng.uniform(0, 1, 5000) < probability**bend
        tables.append(reliability_table(probability, observed).assign(method=method))
    return pd.concat(tables)


def hand_picture(height=120, width=90):
    down, across = np.mgrid[:height, :width]
    labels = np.zeros((height, width), np.uint8)
    for place in range(7):
        x = 25 + 40 * place if place < 2 else 12 + 15 * (place - 2)
        top, bottom = (70, 112) if place < 2 else (15, 60)
        labels[(abs(across - x) < (7 if place < 2 else 4)) & (down > top) & (down < bottom)] = (
            place + 1
        )
    image = 0.25 + 0.45 * (labels > 0) + 0.1 * np.sin(down / 5) * (labels > 0)
    return image, labels


def bone_views(count=6):
    rng = np.random.default_rng(4)
    rows = []
    for bone in HAND_BONES:
        patch = np.zeros((64, 64))
        patch[6:58, 26:38] = 0.6 + 0.1 * rng.standard_normal((52, 12))
        patch = np.clip(patch, 0, 1)

        def view(left, patch=patch):
            return patch[10:42, left : left + 32]

        conventional = [view(left) for left in (0, 20, 32, 0, 30, 2)[:count]]
        constrained = [view(left) for left in (12, 20, 16, 8, 22, 10)[:count]]
        rows.append(figures.Crops(bone, patch, conventional, constrained))
    return rows


def uncertain_cases(samples=3):
    image, labels = hand_picture()
    drawn = np.stack([np.roll(labels, shift, 1) for shift in range(samples)])
    mean = (drawn > 0).mean(0)
    entropy = -sum(p * np.log(np.maximum(p, 1e-9)) for p in (mean, 1 - mean))
    weights = np.full(samples, 1 / samples)
    return [
        figures.Uncertain(f"case {i}", image, drawn, labels, entropy, weights) for i in range(2)
    ]


def pretraining(epochs=30):
    rows = [
        {"dataset": "masked", "method": method, "seed": seed, "epoch": epoch}
        | {"train_loss": (place + 2) * np.exp(-epoch / 20), "feature_sd": 0.5 + 0.01 * epoch}
        | {"prototype_use": 0.3 + 0.02 * epoch if method == "swav" else np.nan}
        | {"covariance": 0.1 * (place + 1) * (seed + 1)}
        for place, method in enumerate(LEARNERS)
        for seed in (0, 1)
        for epoch in range(epochs)
    ]
    return pd.DataFrame(rows)


# --- looks and pictures --------------------------------------------------------------------------


def test_every_hand_method_has_a_look_of_its_own():
    shades = rgb2lab(np.array([to_rgb(style.colour) for style in METHODS.values()]))
    assert all(deltaE_ciede2000(a, b) > 12 for a, b in combinations(shades, 2))
    assert len({style.marker for style in METHODS.values()}) == len(METHODS)


def test_blend_mixes_the_bones_colours_in():
    labels = np.array([[0, 1], [2, 0]])
    mixed = blend(np.full((2, 2), 0.5), labels, ("ulna", "m1"), alpha=0.6)
    assert mixed[0, 0] == pytest.approx([0.5] * 3)
    assert mixed[1, 0] == pytest.approx(0.2 + 0.6 * np.array(to_rgb(bone_look("m1")[1])))


# --- bars ----------------------------------------------------------------------------------------


def test_bone_bars_are_means_over_the_kinds_subjects():
    image, labels = hand_picture()
    table = bone_means()
    figure = figures.bone_bars(table, "true positives", image, labels)
    found = table[table["group"] == "true positives"]
    axes, inset = figure.axes
    for bar, bone in zip(axes.patches, HAND_BONES, strict=True):
        values = found.loc[found["bone"] == bone, "probability"]
        assert bar.get_height() == pytest.approx(values.mean())
        assert bar.get_facecolor()[:3] == pytest.approx(to_rgb(bone_look(bone)[1]))
        assert f"{len(values)}" in texts(axes)
    spread = found.loc[found["bone"] == "ulna", "probability"].agg(["mean", "std"])
    ends = axes.containers[1].lines[2][0].get_segments()[0][:, 1]
    assert ends == pytest.approx([spread["mean"] - spread["std"], spread["mean"] + spread["std"]])
    assert np.asarray(inset.images[0].get_array()) == pytest.approx(
        blend(image, labels, HAND_BONES)
    )
    assert f"n = {found['subject'].nunique()} true positives" in foot(figure)
    assert "fraction" in axes.get_ylabel()


def test_a_kind_without_subjects_is_said():
    sure = bone_means()
    figure = figures.bone_bars(sure[sure["group"] == "true positives"], "false negatives")
    assert "no false negatives" in texts(figure.axes[0]) and "n = 0" in foot(figure)


def test_bad_bones_are_refused():
    image, labels = hand_picture()
    table = bone_means()
    for arguments, message in (
        ((table.drop(columns="bone"),), "without bone"),
        ((table, "true negatives"), "expected one of"),
        ((table.assign(probability=3.0),), "0 to 1"),
        ((pd.concat([table, table]),), "several rows"),
        ((table.replace("ulna", "talus"),), "found talus"),
        ((table, "true positives", image, labels[1:]), "shapes"),
    ):
        with pytest.raises(SettingError, match=message):
            figures.bone_bars(*arguments)


# --- ROC and calibration -------------------------------------------------------------------------


def roc_of(rows, n_resamples=300, seed=0):
    return bootstrap_roc(rows, draw_subjects(rows, n_resamples, seed))


def test_roc_equals_sklearn_with_ties():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 60)
    probability = np.round(0.3 * labels + rng.uniform(0, 0.7, 60), 1)
    table = {"label": labels, "probability": probability, "subject": np.arange(60)}
    roc = roc_of(pd.DataFrame(table))
    fpr, tpr, _ = roc_curve(labels, probability, drop_intermediate=False)
    assert roc.fpr == pytest.approx(fpr) and roc.tpr == pytest.approx(tpr)
    assert roc.auc == pytest.approx(roc_auc_score(labels, probability))
    assert roc.auc_low < roc.auc < roc.auc_high
    middle = np.interp(GRID, fpr, tpr)
    assert ((roc.low <= middle + 1e-9) & (middle <= roc.high + 1e-9)).mean() > 0.95


def test_rows_of_a_subject_are_drawn_together():
    table = by_subject(("simclr",))
    thrice = roc_of(pd.concat([table] * 3))
    assert thrice[4:] == pytest.approx(roc_of(table)[4:])  # not narrower for being repeated


def test_every_resample_keeps_the_prevalence():
    table = pd.DataFrame({"label": [1] + [0] * 9, "subject": np.arange(10)})
    table["probability"] = [0.55, *np.linspace(0.1, 0.9, 9)]
    roc = roc_of(table)
    # the only positive is in each of them: its sensitivity is a step from 0 to 1, never undefined
    assert set(roc.tpr) == {0.0, 1.0} and np.isfinite([roc.auc_low, roc.auc_high]).all()
    other = roc_of(table.assign(label=1 - table["label"], probability=1 - table["probability"]))
    assert roc.auc == pytest.approx(other.auc) == pytest.approx(5 / 9)
    beaten = np.random.default_rng(0).multinomial(9, np.full(9, 1 / 9), size=300)
    expected = np.quantile(beaten[:, :5].sum(1) / 9, (0.025, 0.975))
    assert (roc.auc_low, roc.auc_high) == pytest.approx(tuple(expected))


@pytest.mark.parametrize("seeds", [1, 3])
def test_roc_says_what_the_tables_say(seeds):
    """AUC and interval of table 1, to the last digit; test sets of several seeds differ."""
    parts = []
    for seed in range(seeds):
        people = by_subject().assign(seed=seed, dataset="masked")
        gone = [f"s{n}" for n in range(seed, 30, 3)] if seeds > 1 else []
        people["probability"] = (people["probability"] + 0.1 * seed) % 1
        parts.append(people[~people["subject"].isin(gone)])
    table = pd.concat(parts, ignore_index=True)
    expected = draws(table, 7)
    subjects = draw_subjects(table, hand_scores.RESAMPLES, 7)
    for method in LEARNERS:
        rows = table[table["method"] == method]
        roc = bootstrap_roc(rows, subjects)
        interval = hand_scores.interval(expected["masked", method]["auc"])
        assert (roc.auc_low, roc.auc_high) == pytest.approx(interval, abs=1e-12)
        assert roc.auc == pytest.approx(mean_auc(rows))
        area = np.trapezoid(roc.tpr, roc.fpr)
        assert area == pytest.approx(roc.auc, abs=0.01), "the curve is the mean one as well"
    figure = figures.roc_bands(table, seed=7)
    (text,) = texts(figure.axes[0])
    rows = table[table["method"] == "simclr"]
    roc = bootstrap_roc(rows, subjects)
    assert text.startswith(f"AUC {roc.auc:.2f} ({roc.auc_low:.2f} to {roc.auc_high:.2f})")
    assert ("means of 3 trainings" in text) == (seeds == 3)


def test_roc_bands_say_auc_and_n():
    table = by_subject()
    figure = figures.roc_bands(table, n_resamples=200)
    assert [axes.get_title() for axes in figure.axes] == ["SimCLR", "SupCon", "SwAV", "VICReg"]
    chosen = table[table["method"] == "simclr"]
    auc = roc_auc_score(chosen["label"], chosen["probability"])
    (text,) = texts(figure.axes[0])
    assert text.startswith(f"AUC {auc:.2f} (") and "n = 40, 14 positive" in text
    for bad, message in (
        (table.assign(label=1), "expected 0 and 1"),
        (table.assign(probability=-1.0), "0 to 1"),
        (table.drop(columns="subject"), "without subject"),
    ):
        with pytest.raises(SettingError, match=message):
            figures.roc_bands(bad, n_resamples=10)


def test_reliability_shows_the_table_and_its_error():
    table = calibration()
    figure = figures.reliability(table)
    upper, lower = figure.axes
    ours = table[(table["method"] == "mose") & (table["count"] > 0)]
    assert list(upper.lines[1].get_ydata()) == pytest.approx(list(ours["observed"]))
    assert list(upper.lines[1].get_xdata()) == pytest.approx(list(ours["probability"]))
    error = expected_calibration_error(table[table["method"] == "mose"])
    assert upper.get_legend().get_texts()[0].get_text() == f"MoSE (ECE {error:.3f})"
    assert sorted(bar.get_height() for bar in lower.patches) == sorted(table["count"])
    assert "MoSE n = 5,000 pixels" in foot(figure)
    with pytest.raises(SettingError, match="without method"):
        figures.reliability(table.drop(columns="method"))
    with pytest.raises(SettingError, match="0 to 1"):
        figures.reliability(table.assign(observed=7.0))


# --- pictures ------------------------------------------------------------------------------------


def test_crops_stand_beside_each_other_with_their_shares():
    rows = bone_views()
    figure = figures.crops(rows, {"conventional": 0.314, "constrained": 0.0}, views=4200)
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(pictures) == 7 * 13
    assert (pictures[0] == rows[0].patch).all() and (pictures[1] == rows[0].conventional[0]).all()
    assert (pictures[7] == rows[0].constrained[0]).all()
    titles = [text for axes in figure.axes for text in texts(axes)]
    assert "Conventional: 31.4 % empty" in titles and "Constrained: 0.0 % empty" in titles
    assert "n = 4,200 views" in foot(figure) and "under 10 % bone" in foot(figure)
    for bad, shares in ((rows, {"conventional": 0.3}), ([], {}), ([*bone_views(2), rows[0]], None)):
        with pytest.raises(SettingError, match="views"):
            figures.crops(bad, shares or {"conventional": 0, "constrained": 0}, views=1)


def test_entropy_maps_share_one_scale_in_nats():
    cases = uncertain_cases()
    figure = figures.entropy_maps(cases)
    maps = [axes.images[0] for axes in figure.axes if axes.images][5::6]
    assert len(maps) == 2
    for shown, case in zip(maps, cases, strict=True):
        assert (np.asarray(shown.get_array()) == case.entropy).all()
        assert shown.get_clim() == (0, max(c.entropy.max() for c in cases))
    assert any("nats" in axes.get_ylabel() for axes in figure.axes)
    assert "n = 2 cases" in foot(figure)
    uneven = [cases[0], uncertain_cases(samples=2)[0]]
    wrong = [cases[0]._replace(entropy=cases[0].entropy[1:])]
    for bad, message in (([], "0 cases"), (uneven, r"\[2, 3\]"), (wrong, "shapes")):
        with pytest.raises(SettingError, match=message):
            figures.entropy_maps(bad)


# --- pre-training --------------------------------------------------------------------------------


def test_monitors_divide_losses_by_their_first_value():
    figure = figures.monitors(pretraining())
    loss, spread, use, covariance = figure.axes
    curves = [line.get_ydata() for line in loss.lines]
    assert len(curves) == 4
    for curve in curves:
        assert list(curve) == pytest.approx(list(np.exp(-np.arange(30) / 20)))
    assert len([line for line in use.lines if len(line.get_xdata()) == 30]) == 1  # SwAV only
    assert list(covariance.lines[1].get_ydata()) == pytest.approx([0.3] * 30)  # mean of 0.2, 0.4
    assert spread.get_ylim()[0] == 0 and "n = 2 runs" in foot(figure)
    with pytest.raises(SettingError, match="without train_loss"):
        figures.monitors(pretraining().drop(columns="train_loss"))


def test_monitors_take_what_the_losses_give():
    torch = pytest.importorskip("torch")
    features = torch.randn(16, 8, generator=torch.Generator().manual_seed(0))
    found = collapse_monitors(features, features)
    row = {"dataset": "masked", "method": "swav", "epoch": 0, "train_loss": 2.0} | found
    assert set(found) == {"feature_sd", "covariance", "prototype_use"}
    spread = figures.monitors(pd.DataFrame([row])).axes[1]
    assert spread.lines[0].get_ydata()[0] == pytest.approx(found["feature_sd"])


# --- ours beside the paper's ---------------------------------------------------------------------


def tables_of_both():
    rows = []
    for number, methods in ((1, LEARNERS), (2, LEARNERS), (3, ["supervised"]), (4, LEARNERS)):
        for place, method in enumerate(methods):
            for metric in ("f1", "auc", "accuracy"):
                mean = 0.8 - 0.05 * number + 0.01 * place
                row = {"table": number, "method": method, "metric": metric, "mean": mean}
                row |= {"low": mean - 0.1, "high": mean + 0.1, "seeds": 1, "subjects": 19}
                delta = np.nan if number == 1 else -0.05 * number
                row |= {"delta": delta, "delta_low": delta - 0.1, "delta_high": delta + 0.1}
                rows.append(row | {"paper_mean": 0.7, "paper_sd": 0.05, "paper_delta": -0.1})
    return pd.DataFrame(rows)


def filled(axes, face=True):
    lines = [line for line in axes.lines if line.get_marker() not in (None, "None", "")]
    return [line for line in lines if (line.get_markerfacecolor() != "white") == face]


@pytest.mark.parametrize(("kind", "groups"), [("mean", 4), ("delta", 3)])
def test_tables_stand_beside_the_papers(kind, groups):
    figure = figures.tables_beside_paper(tables_of_both(), kind)
    assert len(figure.axes) == 3
    for axes in figure.axes:
        ours, paper = filled(axes), filled(axes, False)
        assert len(ours) == len(paper) == (13 if kind == "mean" else 9)
        value = 0.75 if kind == "mean" else -0.1
        assert ours[0].get_xdata()[0] == pytest.approx(value)
        assert paper[0].get_xdata()[0] == pytest.approx(0.7 if kind == "mean" else -0.1)
    assert len(figure.axes[0].get_yticks()) == groups
    assert "n = 19 test subjects, 1 seed;" in foot(figure)


def test_an_unknown_kind_is_told():
    with pytest.raises(SettingError, match="kind: found 'sd'"):
        figures.tables_beside_paper(tables_of_both(), "sd")


def test_readers_stand_below_the_ideal_one():
    table = pd.DataFrame({
        "score": ["cortical index", "both", "ideal reader"], "auc": [0.7, 0.8, 0.95],
        "low": [0.5, 0.6, np.nan], "high": [0.9, 0.95, np.nan], "subjects": [19, 19, np.nan],
    })  # fmt: skip
    figure = figures.reader_aucs(table)
    (axes,) = figure.axes
    assert [line.get_xdata()[0] for line in filled(axes)] == [0.7, 0.8]
    assert texts(axes) == ["ideal reader 0.95 "] and "n = 19" in foot(figure)
