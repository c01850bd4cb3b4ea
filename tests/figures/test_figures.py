import json
import os
import subprocess
import sys
from itertools import combinations

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from skimage.color import deltaE_ciede2000, rgb2lab

from lib import figures
from lib.base import paths
from lib.base.errors import OsteoBookError, SettingError
from lib.figures import looks
from lib.figures.looks import (
    METHODS,
    PALETTE,
    REFERENCE_COLOUR,
    MethodStyle,
    bone_look,
    label,
    method_style,
    ordered_methods,
    outline_colours,
    register,
)
from lib.studies.wrist import figures as wrist_figures
from lib.studies.wrist.audit import wrist_audit
from lib.studies.wrist.figures import looks as wrist_looks
from lib.studies.wrist.learn import METHODS as WRIST

TRAINED = [name for name in METHODS if name in WRIST]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "FIGURES", tmp_path)
    return tmp_path / "wrist"


def metrics(n, seeds=2, methods=TRAINED, value=None):
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product(
        [
            ["whole", "tight"],
            methods,
            range(seeds),
            [f"case{i:02}" for i in range(n)],
            ["f1", "iou"],
        ],
        names=["dataset", "method", "seed", "case", "metric"],
    )
    values = rng.beta(0.4, 0.4, len(index)) if value is None else np.full(len(index), value)
    frame = pd.DataFrame({"value": values}, index=index).reset_index()
    return frame.assign(structure="fracture", unit="fraction", fold=0)


def history(epochs=4, seeds=3, methods=TRAINED):
    grid = pd.MultiIndex.from_product(
        [methods, range(seeds), range(epochs)], names=["method", "seed", "epoch"]
    )
    frame = pd.DataFrame(index=grid).reset_index().assign(dataset="whole", fold=0)
    frame["val_dice_loss"] = 1 / (1 + frame["epoch"]) + 0.01 * frame["seed"]
    frame["val_bce_loss"] = 0.2 / (1 + frame["epoch"])
    frame["train_loss"], frame["val_loss"] = frame["val_bce_loss"], frame["val_dice_loss"]
    frame["val_f1"] = 1 - 0.1 * frame["epoch"]
    progress = frame["epoch"] / max(epochs - 1, 1)
    return frame.assign(alpha=progress, beta=1 - progress)


def texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def foot(figure):
    return figure.get_supxlabel()


# --- style ---------------------------------------------------------------------------------------


def test_method_colours_are_fixed():
    names = [*TRAINED, "all_positive", "all_negative", "mean_mask"]
    assert {name: METHODS[name].colour for name in names} == {
        "fixed_half": "#E69F00",
        "fixed_one": "#CC79A7",
        "complementary": "#0072B2",
        "complementary_from_0.1": "#56B4E9",
        "literal": "#D55E00",
        "reversed": "#009E73",
        "all_positive": "#000000",
        "all_negative": "#6E6E6E",
        "mean_mask": "#BDBDBD",
    }
    assert ordered_methods(["reversed", "fixed_half", "reversed"]) == ["fixed_half", "reversed"]


def test_a_method_that_nobody_registered_has_a_look_that_stays():
    first, second = method_style("cross_entropy_only"), method_style("new/other")
    assert (first.label, second.label) == ("Cross entropy only", "New/other")
    assert first.colour != second.colour and first.marker != second.marker
    assert {first.colour, second.colour} <= set(PALETTE)
    assert method_style("cross_entropy_only") == first
    names = ["new/other", "reversed", "cross_entropy_only", "fixed_half", "new/other"]
    assert ordered_methods(names) == ["fixed_half", "reversed", "new/other", "cross_entropy_only"]


def test_looks_are_registered_once(monkeypatch):
    for table in ("METHODS", "BONES", "WORDS", "OUTLINES"):
        monkeypatch.setattr(looks, table, getattr(looks, table).copy())
    register(wrist_looks.METHODS, outlines={"fracture": "#FF5A1F"})  # the same again
    look = MethodStyle("Mine", "#123456", "o")
    register({"mine": look}, bones={"rib": ("Rib", "#654321")}, words={"hd95": "HD95"})
    assert method_style("mine") == look and ordered_methods(["mine", "literal"])[-1] == "mine"
    assert bone_look("Rib") == ("Rib", "#654321") and label("hd95") == "HD95"
    with pytest.raises(SettingError, match="look of 'mine'"):
        register({"mine": look._replace(marker="s")})
    with pytest.raises(SettingError, match="look of 'rib'"):
        register(bones={"rib": ("Rib", "#000000")})
    with pytest.raises(SettingError, match="labels: found Mine"):
        register({"yours": look})


def test_structures_registered_together_have_the_colours_of_their_image():
    assert outline_colours(["fracture"]) == {"fracture": "#FF5A1F"}
    assert outline_colours(["fracture", "lesion"]) == dict(
        zip(("fracture", "lesion"), PALETTE, strict=False)
    )


# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
COLOUR_VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


@pytest.mark.parametrize("matrix", COLOUR_VISION.values(), ids=COLOUR_VISION)
def test_colours_of_trained_methods_differ_under_colour_blindness(matrix):
    rgb = np.array([to_rgb(METHODS[name].colour) for name in TRAINED] + [to_rgb(REFERENCE_COLOUR)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(matrix), 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    assert min(deltaE_ciede2000(a, b) for a, b in combinations(rgb2lab(seen), 2)) > 10


def test_figures_stay_out_of_pyplot_and_show_in_notebooks():
    figure = wrist_figures.prevalence(wrist_audit())
    assert figure._repr_png_().startswith(b"\x89PNG")
    code = "import sys, lib.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=paths.ROOT)


# --- saving --------------------------------------------------------------------------------------


def test_save_writes_picture_drawing_table_and_provenance(folder):
    table = wrist_audit()
    source = {"profile": "smoke", "seed": 42}
    path = figures.save(wrist_figures.prevalence(table), "wrist", "audit", table, provenance=source)
    assert path == folder / "audit.png" and path.read_bytes().startswith(b"\x89PNG")
    assert (
        "<text" in (folder / "audit.svg").read_text()
        and "Image 39" in (folder / "audit.svg").read_text()
    )
    pd.testing.assert_frame_equal(pd.read_csv(folder / "audit.csv"), table)
    figures.save(Figure(), "wrist", "another")
    assert json.loads((folder / "provenance.json").read_text()) == {
        "another": {"files": ["another.png", "another.svg"], "synthetic": False},
        "audit": {"files": ["audit.png", "audit.svg", "audit.csv"], "synthetic": False} | source,
    }
    assert not list(folder.glob(".*"))


def test_png_has_200_dpi(folder):
    figures.save(Figure(figsize=(1, 0.5)), "wrist", "small")
    data = (folder / "small.png").read_bytes()
    assert (int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) == (200, 100)


SAME_TWICE = """
from lib import figures
from tests.figures.test_figures import wrist_figures, history, metrics
figures.save(figures.metric_distributions(metrics(20), ("f1",)), "wrist", "violins", metrics(20))
figures.save(wrist_figures.loss_curves(history()), "wrist", "curves", synthetic=True)
"""


def test_a_saved_figure_is_shown_at_half_its_size_and_not_drawn_again(folder, monkeypatch):
    figure = wrist_figures.prevalence(wrist_audit())
    drawn = cv2.imdecode(np.frombuffer(figure._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    saved = cv2.imread(str(figures.save(figure, "wrist", "audit"))).astype(float)
    monkeypatch.delattr(Figure, "draw")
    shown = cv2.imdecode(np.frombuffer(figure._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    height, width = (side // 2 for side in saved.shape[:2])
    blocks = saved[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 3).mean((1, 3))
    assert drawn.shape == shown.shape == blocks.shape
    assert np.abs(shown - blocks).max() < 1


def test_the_same_figure_has_the_same_bytes(tmp_path):
    for hash_seed in ("1", "2"):
        target = tmp_path / hash_seed
        environment = os.environ | {"OSTEOBOOK_FIGURES": str(target), "PYTHONHASHSEED": hash_seed}
        environment["PYTHONPATH"] = str(paths.ROOT)
        subprocess.run(
            [sys.executable, "-c", SAME_TWICE], check=True, cwd=paths.ROOT, env=environment
        )
    files = sorted(path.name for path in (tmp_path / "1" / "wrist").iterdir())
    assert len(files) == 6
    for file in files:
        assert (tmp_path / "1/wrist" / file).read_bytes() == (
            tmp_path / "2/wrist" / file
        ).read_bytes(), file


def test_an_interrupted_save_keeps_the_old_figure(folder, monkeypatch):
    path = figures.save(Figure(), "wrist", "kept")
    before = path.read_bytes()

    def half_written(self, target, **_):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", half_written)
    with pytest.raises(KeyboardInterrupt):
        figures.save(Figure(), "wrist", "kept")
    assert path.read_bytes() == before
    assert sorted(p.name for p in folder.iterdir()) == ["kept.png", "kept.svg", "provenance.json"]


def test_private_figures_go_where_git_does_not_look(folder):
    figures.save(Figure(), "wrist", "faces", pd.DataFrame({"case": ["a"]}), private=True)
    assert [path.name for path in folder.iterdir()] == ["private"]
    names = ["faces.csv", "faces.png", "faces.svg", "provenance.json"]
    assert sorted(path.name for path in (folder / "private").iterdir()) == names
    assert "figures/**/private/" in (paths.ROOT / ".gitignore").read_text().splitlines()


def test_published_tables_name_no_one(folder):
    """A user's own cases get numbers; those of phantoms and private tables keep their names."""
    table = pd.DataFrame({"case": ["b2", "a1", "b2"], "subject": ["Eve", "Bo", "Eve"], "value": 1})
    figures.save(Figure(), "wrist", "drawn", table)
    figures.save_table(table, "wrist", "told")
    for name in ("drawn", "told"):
        stored = pd.read_csv(folder / f"{name}.csv")
        assert stored["case"].tolist() == ["case 2", "case 1", "case 2"]
        assert stored["subject"].tolist() == ["subject 2", "subject 1", "subject 2"]
    figures.save_table(table, "wrist", "simulated", synthetic=True)
    figures.save_table(table, "wrist", "kept", private=True)
    for path in (folder / "simulated.csv", folder / "private" / "kept.csv"):
        pd.testing.assert_frame_equal(pd.read_csv(path), table, check_dtype=False)
    assert table["subject"].tolist() == ["Eve", "Bo", "Eve"]


def test_synthetic_data_are_marked_once(folder):
    figure = wrist_figures.prevalence(wrist_audit())
    for _ in range(2):
        figures.save(figure, "wrist", "audit", synthetic=True)
    assert foot(figure).count("Synthetic data") == 1
    assert "Synthetic data" in (folder / "audit.svg").read_text()
    assert json.loads((folder / "provenance.json").read_text())["audit"]["synthetic"] is True


@pytest.mark.parametrize(
    "names", [("../wrist", "a"), ("wrist", "a/b"), ("wrist", ""), ("wrist", ".a")]
)
def test_names_that_leave_the_folder_are_errors(names):
    with pytest.raises(SettingError, match="lower-case letters"):
        figures.save(Figure(), *names)
    with pytest.raises(SettingError, match="lower-case letters"):
        figures.save_table(pd.DataFrame(), *names)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "wrist").write_text("a file in the way")
    with pytest.raises(OsteoBookError, match="wrist.*Fix"):
        figures.save(Figure(), "wrist", "audit")


def test_a_table_without_a_figure_is_recorded_too(folder):
    table = pd.DataFrame({"value": [0.1 + 0.2]})
    path = figures.save_table(table, "wrist", "scores", provenance={"seed": 1})
    assert path == folder / "scores.csv" and path.read_text() == "value\n0.30000000000000004\n"
    record = json.loads((folder / "provenance.json").read_text())["scores"]
    assert record == {"files": ["scores.csv"], "seed": 1, "synthetic": False}


def test_every_kind_of_run_has_its_own_place():
    places = [
        paths.figure_place("wrist", "smoke", False),
        paths.figure_place("wrist", "quick", False),
        paths.figure_place("wrist", "quick", True),
    ]
    assert places == ["smoke/wrist", "wrist", "wrist/own"]


def test_the_smoke_profile_overwrites_no_results(folder):
    figures.save_table(pd.DataFrame(), paths.figure_place("wrist", "quick", False), "scores")
    kept = (folder / "scores.csv").stat().st_mtime_ns
    path = figures.save_table(pd.DataFrame(), paths.figure_place("wrist", "smoke", False), "scores")
    assert path.parent == paths.FIGURES / "smoke" / "wrist"
    assert (folder / "scores.csv").stat().st_mtime_ns == kept


# --- curves and schedules ------------------------------------------------------------------------


def test_summary_of_curves_by_hand():
    frame = pd.DataFrame(
        {
            "dataset": "whole",
            "method": "literal",
            "seed": [1, 2, 3, 1],
            "epoch": [0, 0, 0, 1],
            "val_f1": [0.2, 0.6, 0.1, 0.5],
        }
    )
    summary = figures.summarise_curves(frame, ["literal"], ["val_f1"])
    first, second = summary[["epoch", "mean", "low", "high", "runs"]].to_numpy().tolist()
    assert first == pytest.approx([0, 0.3, 0.1, 0.6, 3])
    assert second == [1, 0.5, 0.5, 0.5, 1]
    with pytest.raises(SettingError, match="dataset: found whole, tight"):
        both = pd.concat([frame, frame.assign(dataset="tight")])
        figures.summarise_curves(both, ["literal"], ["val_f1"])
    with pytest.raises(SettingError, match="no rows of fixed_half"):
        figures.summarise_curves(frame, ["fixed_half"], ["val_f1"])


def test_loss_curves():
    data = history()
    data.loc[data["method"] == "fixed_half", "val_loss"] *= 3  # the shared scale must hold both
    figure = wrist_figures.loss_curves(data)
    without, adaptive, equal, f1 = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 6, 6]
    assert {axes.get_xlabel() for axes in figure.axes} == {"Epoch"}
    assert without.get_ylabel() == "Weighted loss" and f1.get_ylabel() == "F1 (fraction)"
    assert without.get_ylim() == adaptive.get_ylim()
    assert f1.get_ylim() == (0, 1)
    assert to_hex(without.lines[0].get_color()).upper() == METHODS["fixed_half"].colour
    expected = 0.5 * (1 / np.arange(1, 5) + 0.01) + 0.5 * 0.2 / np.arange(1, 5)
    np.testing.assert_allclose(equal.lines[0].get_ydata(), expected)
    band = adaptive.collections[1].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.25, 1.02))
    assert texts(figure) == [METHODS[name].label for name in TRAINED] + ["Training", "Validation"]
    assert "n = 3 runs" in foot(figure) and "smallest to largest" in foot(figure)
    assert "n = 1 seed" in foot(wrist_figures.loss_curves(history(epochs=1, seeds=1)))


def test_weight_schedules():
    figure = wrist_figures.weight_schedules(history(epochs=5, methods=TRAINED[:4]))
    assert [axes.get_title() for axes in figure.axes] == [METHODS[m].label for m in TRAINED[:4]]
    total, alpha, beta = figure.axes[0].lines
    assert list(alpha.get_ydata()) == [0, 0.25, 0.5, 0.75, 1]
    assert list(beta.get_ydata()) == [1, 0.75, 0.5, 0.25, 0]
    assert list(total.get_ydata()) == [1] * 5
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert figure.axes[0].get_ylabel() == "Loss weight" and figure.axes[-1].get_xlabel() == "Epoch"
    assert texts(figure) == ["Sum", "α (Dice loss)", "β (BCE)"]


def test_panels_of_one_scale_show_all_of_each_curve():
    frame = history()
    frame.loc[frame["method"] == "complementary", "train_loss"] *= 5
    shown = frame[frame["method"].isin(["complementary", "fixed_half"])]
    figure = wrist_figures.loss_curves(frame)
    assert all(axes.get_ylim()[1] >= shown["train_loss"].max() for axes in figure.axes[:2])
