"""Own images in one call: geometry there and back, the studies' own inputs, files, errors."""

import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from lib.app.predict import __main__ as command
from lib.app.predict.model import best_weights, load_model, segment
from lib.app.predict.results import predict
from lib.base import paths
from lib.base.errors import DataError, OsteoBookError, SettingError
from lib.data.crop import Window
from lib.data.frames import central_square, cut, put_back, whole
from lib.metrics.cortical_index import cortical_index
from lib.metrics.knee import flexion_angle, patella_height, patella_length
from lib.studies.common import measures
from lib.studies.common.radiographs import RADIOGRAPHS, find
from lib.studies.common.reader import as_trained
from lib.studies.hand import data as hand
from lib.studies.hand.predict import hand_measures
from lib.studies.knee.data import STRUCTURES
from lib.studies.knee.predict import ASSUMED_SQUARE, NOT_SQUARE, knee_measures
from lib.studies.registry import STUDIES
from lib.training.checkpoints import load_weights
from tests.data.test_images import write_dicom
from tests.make.trials import TRIALS, Bright, listed, make_trial_folder, untrained

# grey 0.5 after ImageNet's mean; mean and one SD of a volume
LEVEL = {"humerus": 0.0655, "knee": 0.0655, "wrist": 0.95, "pediatric": 1.0, "hand": 0.5}


@pytest.fixture
def bright(monkeypatch, tmp_path):
    """study -> folder of a trial whose network finds what is bright."""

    def make(study):
        chosen, trial = STUDIES[study], TRIALS[study]
        reader = chosen.reader
        network = Bright(len(reader.structures(trial)), LEVEL[study], reader.classes)
        reader = replace(reader, prefix="", reading=as_trained, network=lambda trial: network)
        monkeypatch.setitem(STUDIES, study, replace(chosen, reader=reader))
        return make_trial_folder(tmp_path / "trials" / study, trial, network)

    return make


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


# --- geometry


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("across", [False, True])
def test_straight_edges_come_back_to_the_pixel_through_crop_and_padding(factor, across):
    """Padded before, cropped behind; an edge of the square's pixels returns to its own place."""
    first, behind = slice(0, 3 * factor), slice(2 * factor, None)
    window = Window(-factor, 7 * factor, 2, 8 * factor + 2)
    drawn = np.zeros((2, 8 * factor + 3, 8 * factor + 5), bool)
    drawn[0, first] = drawn[1, behind] = True
    expected = drawn.copy()
    expected[:, 7 * factor :] = expected[:, :, :2] = expected[:, :, 8 * factor + 2 :] = False
    if across:
        drawn, expected = drawn.transpose(0, 2, 1), expected.transpose(0, 2, 1)
        window = Window(2, 8 * factor + 2, -factor, 7 * factor)
    seen = cut(drawn, window)
    assert seen.shape == (2, 8 * factor, 8 * factor)
    small = seen[:, factor // 2 :: factor, factor // 2 :: factor]  # 8 x 8
    np.testing.assert_array_equal(put_back(small, window, drawn.shape[1:]) >= 0.5, expected)


def test_a_square_that_was_enlarged_comes_back():
    drawn = np.random.default_rng(0).random((2, 12, 9)) > 0.5
    window = Window(-1, 13, -2, 12)  # 14 x 14, shown at 28 x 28
    large = np.kron(cut(drawn, window), np.ones((1, 2, 2), bool))
    np.testing.assert_array_equal(put_back(large, window, (12, 9)) >= 0.5, drawn)
    np.testing.assert_array_equal(cut(drawn, whole((12, 9))), drawn)
    assert central_square((12, 9)) == (1, 10, 0, 9)


@pytest.mark.parametrize("shape", [(64, 96), (96, 64), (64, 64)])
def test_a_mask_drawn_in_the_original_frame_survives(bright, shape):
    model = load_model("knee", bright("knee"))
    drawn = np.zeros(shape, bool)
    top, left = ((length - 64) // 2 for length in shape)  # of the square, seen at 32 x 32
    drawn[top + 10 : top + 40, left + 4 : left + 22] = True
    image = drawn.astype(np.float32)
    image[0, 0] = image[-1, -1] = 1.0  # at the corners: outside the square unless it is all
    expected = drawn if shape != (64, 64) else None
    masks = segment(model, image).masks
    assert list(masks) == list(STRUCTURES)
    for mask in masks.values():
        assert mask.shape == shape and mask.dtype == bool
        if expected is not None:
            np.testing.assert_array_equal(mask, expected)
        else:
            assert overlap(mask, drawn) > 0.98


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("shape", [(150, 101), (90, 130)])
def test_what_is_bright_is_found_in_its_place(bright, study, shape):
    model = load_model(study, bright(study))
    image = np.full(shape, 0.02, np.float32)
    image[:, 20:90] = 0.35  # a limb
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    drawn = np.hypot(yy - 62, xx - 58) < 15
    image[drawn] = 1.0
    found = list(segment(model, image).masks.values())
    if STUDIES[study].reader.classes:  # which overlap nowhere
        assert not np.any(found[1:])
    for mask in found[: 1 if STUDIES[study].reader.classes else None]:
        assert overlap(mask, drawn) > 0.8  # a disc of 30 pixels, seen at 32 or 64 a side
        shift = np.argwhere(mask).mean(0) - np.argwhere(drawn).mean(0)
        assert np.abs(shift).max() < 0.6


# --- the same as in training


@pytest.mark.parametrize("study", ["humerus", "wrist", "pediatric", "knee"])
def test_networks_have_the_trained_weights(tmp_path, study):
    folder = make_trial_folder(tmp_path / "t", TRIALS[study])
    model = load_model(study, folder)
    trained = load_weights(folder / "weights.safetensors", untrained(study)).eval()
    trained = getattr(trained, "network", trained)
    x = torch.rand(1, 1 if study in ("wrist", "pediatric") else 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.network(x), trained(x))


# --- measurements


def values(found):
    return {(m.structure, m.measure, m.unit): (m.value, m.note) for m in found}


def drawn_knee():
    """Two long bones with round ends, bent, and patella and tendon before them."""
    planes = {name: np.zeros((200, 200), np.uint8) for name in STRUCTURES}
    for name, joint, end in (("femur", (90, 80), (90, -20)), ("tibia", (90, 120), (150, 220))):
        cv2.circle(planes[name], joint, 17, 1, -1)
        cv2.line(planes[name], joint, end, 1, 14)
    cv2.ellipse(planes["patella"], (120, 85), (7, 14), 0, 0, 360, 1, -1)
    cv2.line(planes["tendon"], (120, 100), (114, 130), 1, 5)
    return {name: plane > 0 for name, plane in planes.items()}


def test_knee_is_measured_and_millimetres_are_not_invented():
    masks = drawn_knee()
    with_mm = values(knee_measures(masks, (0.5, 0.5)))
    without = values(knee_measures(masks, None))
    angle = flexion_angle(masks["femur"], masks["tibia"])
    height = patella_height(masks["patella"], masks["tendon"], masks["tibia"])
    length = patella_length(masks["patella"])
    assert np.isfinite([angle, height, length]).all()
    assert with_mm["femur-tibia", "flexion_angle", "degrees"] == (angle, "")
    assert with_mm["patella", "patella_height", "ratio"] == (height, "")
    assert with_mm["patella", "patella_length", "mm"] == (length / 2, "")
    assert without["patella", "patella_length", "px"] == (length, ASSUMED_SQUARE)
    assert without["femur-tibia", "flexion_angle", "degrees"][0] == angle
    value, note = without["patella", "patella_length", "mm"]
    assert np.isnan(value) and note == measures.NO_SPACING
    oblong = knee_measures(masks, (0.5, 0.4))
    assert all(np.isnan(m.value) and m.note == NOT_SQUARE for m in oblong)
    masks["tendon"][:] = False
    value, note = values(knee_measures(masks, (0.5, 0.5)))["patella", "patella_height", "ratio"]
    assert np.isnan(value) and "missing" in note


def test_sizes_by_hand():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2:5] = True
    found = values(measures.sizes({"a": mask, "b": mask & False}, (0.5, 0.2)))
    assert found["a", "area", "px"] == (6, "")
    assert found["a", "area", "mm2"][0] == pytest.approx(0.6)
    assert found["b", "area", "px"] == (0, "nothing found")
    value, note = values(measures.sizes({"a": mask}, None))["a", "area", "mm2"]
    assert np.isnan(value) and note == measures.NO_SPACING
    volume = values(measures.sizes({"a": np.ones((2, 2, 2), bool)}, (3.0, 1.0, 0.5)))
    assert volume["a", "volume", "mL"][0] == pytest.approx(0.012)
    assert volume["a", "volume", "voxels"] == (8, measures.CUT)
    inside = np.pad(np.ones((2, 2, 2), bool), 1)
    assert values(measures.sizes({"a": inside}, None))["a", "volume", "voxels"] == (8, "")


def test_bones_of_the_hand_by_hand():
    """A shaft of two bright walls; the entropy is 0.3 nats in m2 and 0 elsewhere."""
    image, m2 = np.zeros((120, 60)), np.zeros((120, 60), bool)
    m2[10:110, 20:40] = True
    image[10:110, 20:25] = image[10:110, 35:40] = 1.0
    masks = {bone: m2 if bone == "m2" else m2 & False for bone in hand.BONES}
    bones = values(hand_measures(masks, np.where(m2, 0.3, 0.0), image))
    assert bones["m2", "mean_entropy", "nats"] == (pytest.approx(0.3), "")
    value, note = bones["ulna", "mean_entropy", "nats"]
    assert np.isnan(value) and note == measures.NOTHING
    index, note = bones["m2", "cortical_index", "fraction"]
    assert index == cortical_index(image, m2) and 0.3 < index < 0.7 and note == ""
    index, note = values(hand_measures(masks | {"m2": m2 & False}, image, image))[
        "m2", "cortical_index", "fraction"
    ]
    assert np.isnan(index) and "m2 is missing" in note


# --- files


def square_image():
    image = np.full((64, 96), 30, np.uint8)
    image[20:40, 30:60] = 220
    return image


def test_every_kind_of_file_gives_the_same_mask(bright, tmp_path):
    folder, image = tmp_path / "mine", square_image()
    folder.mkdir()
    cv2.imwrite(str(folder / "grey.png"), image)
    cv2.imwrite(str(folder / "colour.png"), np.dstack([image] * 3))
    cv2.imwrite(str(folder / "deep.tif"), image.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "photo.jpg"), image)
    tags = {"RescaleSlope": 2, "RescaleIntercept": -1024, "PixelSpacing": [0.5, 0.5]}
    write_dicom(folder / "scan.dcm", image.astype(np.uint16) * 16, **tags)
    inverted = {"PhotometricInterpretation": "MONOCHROME1", "PixelSpacing": [0.5, 0.25]}
    write_dicom(folder / "1.2.840.7", (255 - image).astype(np.uint16) * 16, **inverted)
    (folder / "notes.txt").write_text("not an image")
    out = folder / "results"  # inside: a second call must not take masks for images
    for _ in range(2):
        table, problems, overlays = predict("humerus", bright("humerus"), [folder], out)
        shutil.rmtree(tmp_path / "trials")
        assert problems == [] and table["image"].nunique() == 6
        assert overlays == [out / f"overlays/{name}.png" for name in table["image"].unique()]
    expected = cv2.imread(str(out / "masks/humerus/grey.png"), cv2.IMREAD_UNCHANGED)
    assert expected.shape == image.shape and set(np.unique(expected)) == {0, 255}
    assert overlap(expected > 0, image > 128) > 0.9
    for name in ("colour", "deep", "photo", "scan", "1.2.840.7"):
        mask = cv2.imread(str(out / f"masks/humerus/{name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, expected, err_msg=name)
        overlay = cv2.imread(str(out / f"overlays/{name}.png"))
        assert overlay.shape[1] > 600 and (np.ptp(overlay.astype(int), axis=2) > 60).any()
    stored = pd.read_csv(out / "measurements.csv", dtype={"image": str})
    stored["note"] = stored["note"].fillna("")
    pd.testing.assert_frame_equal(stored, table, check_dtype=False)
    area = stored[stored["measure"] == "area"].set_index(["image", "unit"])["value"]
    pixels = np.count_nonzero(expected)
    assert area["scan", "mm2"] == pixels / 4 and area["1.2.840.7", "mm2"] == pixels / 8
    assert area["grey", "px"] == pixels and np.isnan(area["grey", "mm2"])


def test_names_of_results_never_meet(tmp_path):
    for name in ("a/x.png", "b/x.png", "a/x.jpg", "a/.hidden.png", "a/DICOMDIR"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "image.png"), square_image())
        shutil.copy(tmp_path / "image.png", tmp_path / name)
    (tmp_path / "image.png").unlink()
    besides = tmp_path / "out"
    assert list(find([tmp_path], RADIOGRAPHS, besides)) == ["a-x", "a-x~2", "b-x"]
    both = find([tmp_path / "a/x.png", tmp_path / "b"], RADIOGRAPHS, besides)
    assert both == {"x": tmp_path / "a/x.png", "x~2": tmp_path / "b/x.png"}
    with pytest.raises(DataError, match="no such file or folder.*Fix"):
        find([tmp_path / "c"], RADIOGRAPHS, besides)
    besides.mkdir()
    with pytest.raises(DataError, match="no image; expected a radiograph"):
        find([besides], RADIOGRAPHS, tmp_path)


# --- errors, as the command tells them


def run(capsys, *arguments):
    code = command.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_goes_on_where_an_image_cannot_be_used(bright, tmp_path, capsys):
    weights, folder = bright("knee"), tmp_path / "mine"
    folder.mkdir()
    cv2.imwrite(str(folder / "good.png"), square_image())
    cv2.imwrite(str(folder / "dark.png"), np.zeros((64, 64), np.uint8))
    (folder / "broken.png").write_bytes(b"\x89PNG")
    (folder / "volume.nii.gz").write_bytes(b"")
    call = ("--study", "knee", "--weights", weights, "--out", tmp_path / "out")
    code, out, err = run(capsys, *call, folder, folder / "volume.nii.gz")
    assert code == 1 and "2 images predicted, 2 not usable" in out
    assert "dark: nothing found" in out and "good: nothing found" not in out
    assert re.search(r"broken\.png: found an empty, truncated or damaged file.*Fix", err)
    assert re.search(r"volume\.nii\.gz: found a volume; expected a radiograph.*Fix", err)
    table = pd.read_csv(tmp_path / "out/measurements.csv")
    assert set(table["image"]) == {"good", "dark"}
    dark = table[(table["image"] == "dark") & (table["measure"] == "flexion_angle")]
    assert dark["value"].isna().all() and dark["note"].notna().all()
    assert run(capsys, *call, folder / "good.png")[0] == 0


def test_bad_weights_and_folders_are_named(tmp_path, capsys, bright):
    weights = bright("knee")
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), square_image())
    code, _, err = run(capsys, "--study", "wrist", "--weights", weights, image)
    assert code == 2 and "found weights of the knee study; expected wrist. Fix: --study knee" in err
    (tmp_path / "file").write_text("")
    full = ("--study", "knee", "--weights", weights, "--out", tmp_path / "file", image)
    code, _, err = run(capsys, *full)
    assert code == 2 and "a file stands where a folder is expected" in err
    code, _, err = run(capsys, "--study", "knee", "--weights", weights, tmp_path / "no.png")
    assert code == 2 and "no such file or folder" in err
    code, _, err = run(capsys, "--study", "knee", "--weights", tmp_path / "no", image)
    assert code == 2 and "no such folder; expected the folder of a trial" in err
    bare = weights.with_name("bare")
    shutil.copytree(weights, bare)
    (bare / "weights.safetensors").unlink()
    with pytest.raises(OsteoBookError, match=r"no weights.safetensors.*another, such as knee"):
        load_model("knee", bare)
    (bare / "config.json").write_text("{")
    with pytest.raises(OsteoBookError, match="cannot be read"):
        load_model("knee", bare)
    with pytest.raises(SettingError, match="humerus, wrist, pediatric, knee, hand"):
        load_model("elbow", bare)


def test_weights_of_other_layers_and_of_tight_crops_are_refused(tmp_path):
    wider = STUDIES["wrist"].reader.network(replace(TRIALS["wrist"], width=8))
    folder = make_trial_folder(tmp_path / "t", TRIALS["wrist"], wider)
    with pytest.raises(OsteoBookError, match="the wrist network in config.json"):
        load_model("wrist", folder)
    tight = make_trial_folder(tmp_path / "tight", replace(TRIALS["wrist"], variant="tight"))
    make_trial_folder(tmp_path / "whole", replace(TRIALS["wrist"], variant="whole"))
    with pytest.raises(
        SettingError, match="cut around the labelled box; expected whole.*as t, whole"
    ):
        load_model("wrist", tight)


@pytest.mark.parametrize(
    ("study", "kind", "expected"),
    [("pediatric", "autoencoder", "all bones of a joint"), ("hand", "learning", "mose or unet")],
)
def test_weights_that_see_no_images_are_refused(tmp_path, study, kind, expected):
    other = next(trial for trial in listed(study) if trial.kind == kind)
    folder = make_trial_folder(tmp_path / "t", other, Bright(1, 0.0))
    with pytest.raises(SettingError, match=f"found the {kind}.*{expected}.*run the study first"):
        load_model(study, folder)


# --- which weights


def test_the_best_in_validation_of_the_largest_models_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    with pytest.raises(OsteoBookError, match=r"no trained model.*run_all.sh --only knee"):
        best_weights("knee")
    small = replace(TRIALS["knee"], image_size=TRIALS["knee"].image_size // 2)
    scores = {"a": [0.1, 0.8, 0.2], "b": [0.5, 0.6], "small": [0.95], "c.partial": [0.9]}
    for name, values in scores.items():
        trial = small if name == "small" else TRIALS["knee"]
        folder = make_trial_folder(tmp_path / "knee" / name, trial)
        pd.DataFrame({"val_mean_iou": values}).to_csv(folder / "history.csv")
    make_trial_folder(tmp_path / "knee" / "z", TRIALS["knee"])  # without a history
    best = tmp_path / "knee" / "a"
    assert best_weights("knee") == best
    cv2.imwrite(str(tmp_path / "x.png"), square_image())
    call = ("--study", "knee", "--out", tmp_path / "out", tmp_path / "x.png")
    code, out, _ = run(capsys, *call)
    assert code == 0 and f"weights: {best}\n" in out
    with pytest.raises(SystemExit):
        run(capsys, *call, "--weights", best, "--variant", "frame_split")
    with pytest.raises(SettingError, match="variant: found 'elbow'; expected one of "):
        best_weights("knee", "elbow")


def test_a_joint_must_be_named_where_there_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "TRIALS", tmp_path)
    ankle = TRIALS["pediatric"]
    folders = {
        joint: make_trial_folder(tmp_path / "pediatric" / joint, replace(ankle, variant=joint))
        for joint in ("ankle", "shoulder")
    }
    prior = next(trial for trial in listed("pediatric") if trial.kind == "autoencoder")
    make_trial_folder(tmp_path / "pediatric" / "prior", prior, Bright(1, 0.0))
    assert best_weights("pediatric", "shoulder") == folders["shoulder"]
    with pytest.raises(SettingError, match="expected one of ankle, shoulder"):
        best_weights("pediatric")
