"""The pediatric study's figures show what their frames hold."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from mpl_toolkits.mplot3d.art3d import Poly3DCollection
from skimage.color import deltaE_ciede2000, rgb2lab

from lib.base.errors import SettingError
from lib.figures.embedding import chance_purity
from lib.figures.looks import bone_look, label_colours, method_style, ordered_methods
from lib.studies.pediatric import figures
from lib.studies.pediatric.figures.looks import BONES, METHODS
from lib.studies.pediatric.figures.position import position_summary
from lib.studies.pediatric.figures.surface import _meshes, _upright, surface_distance

STRATEGIES = [f"att_unet/{name}/comb" for name in ("individual", "global", "multi")]
REGULARISERS = [f"att_unet/multi/{name}" for name in ("base", "shape", "adv", "comb")]
BACKBONES = [f"{name}_unet/multi/comb" for name in ("att", "vgg", "dense", "res")]
PANELS = {"Strategies": STRATEGIES, "Regularisers": REGULARISERS, "Backbones": BACKBONES}


def foot(figure):
    return figure.get_supxlabel()


def lines(axes, length):
    """y values of the lines of so many points."""
    return [list(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == length]


# --- made-up data --------------------------------------------------------------------------------


def scores(cases=17, ill=7):
    rng = np.random.default_rng(0)
    names = [f"A_P,{i + 1}" if i < ill else f"A_H,{i + 1 - ill}" for i in range(cases)]
    methods = sorted({method for panel in PANELS.values() for method in panel})
    ease = rng.uniform(45, 90, cases)
    return pd.DataFrame(
        [
            {"case": name, "method": method, "pathology": int(name[2] == "P")}
            | {"score": float(np.clip(ease[i] + 2 * place + 4 * rng.standard_normal(), 0, 100))}
            for place, method in enumerate(methods)
            for i, name in enumerate(names)
        ]
    )


def codes():
    rng = np.random.default_rng(1)
    groups = {"ankle": ("calcaneus", "talus", "tibia"), "shoulder": ("humerus", "scapula")}
    table, measures = [], []
    for joint, bones in groups.items():
        for strategy in ("global", "multi"):
            for part in ("training", "validation"):
                panel = f"{joint.capitalize()}, {strategy}, {part}"
                measures.append({"panel": panel, "purity": 0.9, "silhouette": 0.4})
                for place, bone in enumerate(bones):
                    x, y = rng.standard_normal((2, 40)) + 3 * np.array([[place], [place % 2]])
                    table.append(pd.DataFrame({"x": x, "y": y, "label": bone, "panel": panel}))
    return pd.concat(table), pd.DataFrame(measures)


def ball(shape, centre, radius, spacing):
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1) * spacing
    return ((grid - centre) ** 2).sum(-1) <= radius**2


def two_bones():
    spacing = (3.0, 0.6, 0.6)
    shape = (20, 96, 96)
    truth = np.zeros(shape, np.uint8)
    truth[ball(shape, (30, 22, 28), 14, spacing)] = 1
    truth[ball(shape, (28, 44, 36), 9, spacing)] = 2
    predicted = np.zeros(shape, np.uint8)
    predicted[ball(shape, (30, 22, 28), 14.6, spacing)] = 1
    predicted[ball(shape, (31, 45, 37), 9, spacing) & (predicted == 0)] = 2
    return predicted, truth, spacing


def history(methods=("att_unet/multi/adv", "res_unet/multi/comb"), epochs=20):
    rows = [
        {"dataset": "ankle", "method": method, "fold": fold, "epoch": epoch}
        | {"train_d_loss": 1.39 - 0.02 * epoch, "train_d_accuracy": 0.5 + 0.015 * epoch}
        | {"train_adv": 0.69 + 0.05 * epoch + 0.2 * fold}
        | {"train_shape_ratio": 0.1 * (fold + 1) if method.endswith("comb") else np.nan}
        for method in methods
        for fold in (0, 1)
        for epoch in range(epochs)
    ]
    return pd.DataFrame(rows)


def slices(methods=("att_unet/multi/base", "res_unet/multi/comb")):
    rng = np.random.default_rng(2)
    rows = [
        {"dataset": "ankle", "structure": "union", "method": method, "case": f"c{case}"}
        | {"metric": "dice", "position": position, "age_years": 7.0 + case, "pathology": case % 2}
        | {"value": 0.97 - 0.05 * place - 0.5 * abs(position - 0.5) ** 2 - 0.03 * rng.uniform()}
        for place, method in enumerate(methods)
        for case in range(6)
        for position in np.linspace(0, 1, 21)
    ]
    return pd.DataFrame(rows)


# --- looks ---------------------------------------------------------------------------------------


def test_every_pediatric_method_has_a_look_of_its_own():
    assert len(METHODS) == 20
    assert len({style.label for style in METHODS.values()}) == 20
    shades = rgb2lab(np.array([to_rgb(style.colour) for style in METHODS.values()]))
    for (a, first), (b, second) in combinations(zip(shades, METHODS.values(), strict=True), 2):
        assert deltaE_ciede2000(a, b) > (5 if first.marker != second.marker else 10)
    assert method_style("res_unet/multi/spar_adv").label == "Res-UNet multi SPAR + AdvReg"
    assert ordered_methods(reversed(REGULARISERS)) == REGULARISERS


def test_bones_have_colours_of_their_own_within_a_study():
    shades = rgb2lab(np.array([to_rgb(colour) for _, colour in BONES.values()]))
    assert all(deltaE_ciede2000(a, b) > 12 for a, b in combinations(shades, 2))
    assert bone_look("Talus") == bone_look("talus")
    assert label_colours(["talus", "yes", "no"])["talus"] == bone_look("talus")[1]
    with pytest.raises(SettingError, match="at most 7"):
        label_colours(range(8))
    with pytest.raises(SettingError, match="bone"):
        bone_look("tusk")


# --- spiders -------------------------------------------------------------------------------------


def test_spiders_hold_the_scores_on_one_scale_in_one_order():
    table = scores()
    figure = figures.spiders(table, PANELS)
    radars = [axes for axes in figure.axes if axes.name == "polar"]
    dots = [axes for axes in figure.axes if axes.name != "polar"]
    assert [axes.get_title() for axes in radars] == list(PANELS)
    order = [text.get_text() for text in radars[0].get_xticklabels()]
    assert order[-2:] == ["A_H,9", "A_H,10"] and all("_P" in name for name in order[:7])
    assert [text.get_text() for text in dots[0].get_yticklabels()] == order
    wide = table.pivot(index="case", columns="method", values="score").loc[order]
    for axes, dotted, methods in zip(radars, dots, PANELS.values(), strict=True):
        assert axes.get_ylim() == (0, 100)
        assert len(axes.lines) == len(methods)
        for line, method in zip(axes.lines, methods, strict=True):
            assert list(line.get_ydata()) == pytest.approx([*wide[method], wide[method].iloc[0]])
            assert line.get_color() == method_style(method).colour
        points = [line for line in dotted.lines if len(line.get_xdata()) == 17]
        assert [list(p.get_xdata()) for p in points] == [list(wide[m]) for m in methods]
        assert dotted.get_xlim() == dots[0].get_xlim()
    assert "n = 17 examinations, 7 of them pathological" in foot(figure)


def test_undefined_scores_are_a_gap_and_counted():
    table = scores()
    table.loc[3, "score"] = np.nan
    assert "not shown: 1 scores" in foot(figures.spiders(table, {"One": [table["method"][3]]}))


def test_one_examination_has_dots_over_methods():
    table = scores(cases=1, ill=0)
    figure = figures.spiders(table, PANELS)
    assert all(axes.name != "polar" for axes in figure.axes)
    first = next(iter(PANELS.values()))
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == [method_style(method).label for method in first]
    value = table.set_index("method")["score"][first[0]]
    assert f"{value:.1f}" in [text.get_text() for text in figure.axes[0].texts]
    assert "n = 1 examination." in foot(figure)


def test_two_examinations_are_filled_and_open():
    table = scores(cases=2, ill=1)
    figure = figures.spiders(table, PANELS)
    first, second = figure.axes[0].lines[:2]
    wide = table.set_index(["case", "method"])["score"]
    method = next(iter(PANELS.values()))[0]
    assert first.get_xdata()[0] == wide["A_P,1", method]
    assert second.get_xdata()[0] == wide["A_H,1", method]
    assert second.get_mfc() == "white" != first.get_mfc()
    assert "A_P,1 (filled); A_H,1 (open)" in foot(figure)


@pytest.mark.parametrize(
    ("change", "panels", "message"),
    [
        (lambda t: t.drop(columns="score"), PANELS, "without score"),
        (lambda t: t.assign(score=t["score"] + 90), PANELS, "0 to 100"),
        (lambda t: pd.concat([t, t]), PANELS, "several rows"),
        (lambda t: t, {"None": []}, "found 0 methods"),
        (lambda t: t, {"All": list(METHODS)}, "found 20 methods"),
        (lambda t: t, {"Absent": ["res_unet/multi/spar"]}, "no rows of res_unet/multi/spar"),
        (lambda t: t, {"Unknown": ["other"]}, "no rows of other"),
    ],
)
def test_bad_scores_are_refused(change, panels, message):
    with pytest.raises(SettingError, match=message):
        figures.spiders(change(scores()), panels)


# --- t-SNE ---------------------------------------------------------------------------------------


def test_embedding_has_its_points_and_measures():
    table, measures = codes()
    figure = figures.embedding(table, measures)
    first = table[table["panel"] == "Ankle, global, training"]
    assert [axes.get_title() for axes in figure.axes] == list(measures["panel"])
    for line, bone in zip(figure.axes[0].lines, ("calcaneus", "talus", "tibia"), strict=True):
        assert list(line.get_xdata()) == list(first.loc[first["label"] == bone, "x"])
        assert line.get_color() == bone_look(bone)[1]
    text = figure.axes[0].get_xlabel()
    assert text.startswith("t-SNE 1\nn = 120\npurity 0.90 (chance 0.33)\nsilhouette 0.40")
    with pytest.raises(SettingError, match="no row of Shoulder, multi, validation"):
        figures.embedding(table, measures.iloc[:-1])
    with pytest.raises(SettingError, match="several rows"):
        figures.embedding(table, pd.concat([measures, measures]))
    with pytest.raises(SettingError, match="without y"):
        figures.embedding(table.drop(columns="y"), measures)


def test_embedding_of_a_single_panel_and_chance():
    table, measures = codes()
    one = table["panel"] == measures["panel"][0]
    figure = figures.embedding(
        table[one].drop(columns="panel"), measures[["purity", "silhouette"]][:1]
    )
    assert len(figure.axes) == 1
    assert chance_purity(["a", "a", "b"]) == pytest.approx(1 / 3)  # 2 of 6 ordered pairs


# --- surfaces ------------------------------------------------------------------------------------


def test_surface_distance_in_mm():
    spacing = np.array([4.0, 1.0, 0.5])
    cube = np.zeros((12, 24, 40), np.uint8)
    cube[3:9, 6:18, 10:30] = 1
    mesh = _meshes(cube, spacing)[1]
    # half a voxel outside the outermost voxels' middles
    assert mesh.vertices.min(0) == pytest.approx([2.5 * 4, 5.5, 9.5 * 0.5])
    assert mesh.vertices.max(0) == pytest.approx([8.5 * 4, 17.5, 29.5 * 0.5])
    assert surface_distance(mesh, mesh).max() == 0
    higher = _meshes(np.roll(cube, 3, axis=1), spacing)[1]
    distance = surface_distance(higher, mesh)
    bottom = higher.centres[:, 1] == 20.5  # 3 mm below, with the same slices and columns
    assert bottom.any() and distance[bottom] == pytest.approx(3.0)
    assert np.isnan(surface_distance(mesh, None)).all()
    # faces are wound so that their normals point outwards, which decides how they are lit
    a, b, c = np.moveaxis(_upright(mesh.vertices[mesh.faces]), 1, 0)
    outwards = _upright(mesh.centres - mesh.vertices.mean(0))
    assert ((outwards * np.cross(b - a, c - a)).sum(1) > 0).mean() > 0.99


def test_surfaces_are_drawn_twice_with_a_bar_in_mm():
    predicted, truth, spacing = two_bones()
    figure = figures.bone_surfaces(predicted, truth, spacing, ("talus", "calcaneus"))
    views = [axes for axes in figure.axes if axes.name == "3d"]
    meshes = _meshes(predicted, np.array(spacing))
    for axes in views:
        (body,) = [c for c in axes.collections if isinstance(c, Poly3DCollection)]
        assert len(body.get_facecolor()) == sum(len(mesh.faces) for mesh in meshes.values())
        assert body.get_rasterized()
        assert np.ptp(axes.get_xlim()) == pytest.approx(
            max(np.ptp(np.concatenate([m.vertices for m in meshes.values()])[:, 2]), 0)
        )
    assert len(views) == 2 and views[0].azim != views[1].azim
    assert "mm" in figure.axes[-1].get_ylabel()
    assert "Talus: mean" in foot(figure) and "n = 1 examination" in foot(figure)


def test_missed_and_invented_bones_are_told():
    predicted, truth, spacing = two_bones()
    missed = figures.bone_surfaces(
        predicted * (predicted == 1), truth, spacing, ("talus", "calcaneus")
    )
    invented = figures.bone_surfaces(
        predicted, truth * (truth == 1), spacing, ("talus", "calcaneus")
    )
    assert "Calcaneus: missed" in foot(missed)
    assert "Calcaneus: not in the truth" in foot(invented)


def test_bad_surfaces_are_refused():
    predicted, truth, spacing = two_bones()
    bones = ("talus", "calcaneus")
    for arguments, message in (
        ((predicted, truth[1:], spacing, bones), "shapes"),
        ((predicted, truth, (1.0, 1.0), bones), "three sizes"),
        ((predicted[0], truth[0], spacing, bones), "D x H x W"),
        ((predicted, truth, spacing, bones[:1]), "up to 2"),
        ((0 * predicted, truth, spacing, bones), "predict a bone"),
    ):
        with pytest.raises(SettingError, match=message):
            figures.bone_surfaces(*arguments)


# --- training and failures -----------------------------------------------------------------------


def test_adversaries_are_means_over_runs():
    figure = figures.adversaries(history())
    accuracy, adversarial, ratio = figure.axes[1:]
    assert lines(figure.axes[0], 20)[0] == pytest.approx([1.39 - 0.02 * e for e in range(20)])
    assert accuracy.get_ylim() == (0, 1.02)
    assert lines(adversarial, 20)[0] == pytest.approx([0.79 + 0.05 * e for e in range(20)])
    assert lines(ratio, 20) == [pytest.approx([0.15] * 20)]  # AdvReg has no shape loss
    assert "n = 2 runs" in foot(figure) and ratio.get_xlabel() == "Epoch"
    with pytest.raises(SettingError, match="dataset"):
        mixed = pd.concat([history(), history().assign(dataset="shoulder")])
        figures.adversaries(mixed)
    with pytest.raises(SettingError, match="0 rows"):
        figures.adversaries(history().iloc[:0])


def test_what_no_method_logged_is_said():
    figure = figures.adversaries(history().drop(columns="train_shape_ratio"))
    assert [text.get_text() for text in figure.axes[3].texts] == ["not logged by any method"]


def test_error_by_position_is_a_median_over_slices():
    rows = pd.DataFrame(
        {"method": "m", "error": [0.1, 0.2, 0.6, 0.3], "position": [0, 0.4, 0.1, 1]}
    )
    summary = position_summary(rows, 2)
    assert list(summary["position"]) == [0.25, 0.75] and list(summary["n"]) == [3, 1]
    assert list(summary["median"]) == pytest.approx([0.2, 0.3])
    assert summary["low"][0] == pytest.approx(0.1 + 0.32 * 0.1)
    figure = figures.error_by_position(slices())
    assert len(lines(figure.axes[0], 10)) == 2
    ours = slices().query("method == 'att_unet/multi/base' and position >= 0.9")["value"]
    assert lines(figure.axes[0], 10)[0][-1] == pytest.approx(1 - ours.median())
    assert "n = 126 slices per method, of examinations: 6" in foot(figure)
    assert "fraction" in figure.axes[0].get_xlabel() and "1 - Dice" in figure.axes[0].get_ylabel()


def test_error_by_age_has_a_point_an_examination():
    cases = slices().drop_duplicates(["method", "case"])
    figure = figures.error_by_age(cases)
    drawn = {
        (x, round(y, 9), line.get_mfc() == "white")
        for line in figure.axes[0].lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    expected = {(r.age_years, round(1 - r.value, 9), r.pathology == 1) for r in cases.itertuples()}
    assert drawn == expected
    assert "n = 6 examinations, 3 pathological" in foot(figure)
    assert figure.axes[0].get_xlabel() == "Age (years)"


def test_bad_slices_are_refused():
    for draw, bad, message in (
        (figures.error_by_position, slices().drop(columns="position"), "without position"),
        (figures.error_by_position, slices().assign(metric="assd"), "expected values of 'dice'"),
        (figures.error_by_position, slices().assign(position=2.0), "0 to 1"),
        (figures.error_by_position, slices().assign(structure=list("ab") * 126), "structure"),
        (figures.error_by_age, slices(), "several rows"),
        (figures.error_by_age, slices().assign(value=90.0), "0 to 1"),
    ):
        with pytest.raises(SettingError, match=message):
            draw(bad)
