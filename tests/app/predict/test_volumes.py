"""Volumes and hands: the same as in the studies, on the grid of the file, the right way up."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest
import torch

from lib.app.predict.model import load_model, segment
from lib.app.predict.results import predict
from lib.data.images import read_image
from lib.data.volumes import read_volume, restored
from lib.models.mixture_segmenter import MixtureSegmenter
from lib.studies.common.radiographs import NATS_16_BIT, Segmentation, find
from lib.studies.common.volumes import PLANES, VOLUMES, read, views
from lib.studies.hand import data as hand, segmentation as hand_segmentation
from lib.studies.pediatric import STUDY, evaluation, learn as pediatric
from lib.studies.pediatric.data import prepare_for
from lib.studies.registry import STUDIES
from lib.training import predict as training_predict
from lib.training.checkpoints import load_weights
from tests.make.hand import make_hand_fixture
from tests.make.pediatric import SHAPE, affine_of, draw_joint, write_nrrd, write_series
from tests.make.trials import TRIALS, make_trial_folder

BONES = ("calcaneus", "talus", "tibia")


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Studies compute in bfloat16 where it is native; prediction, as the ONNX file, does not."""
    for module in (training_predict, hand_segmentation):
        monkeypatch.setattr(module, "mixed_precision", lambda device: nullcontext())


@pytest.fixture
def ankle(tmp_path):
    """One volume as NIfTI, NRRD and a DICOM series."""
    image = np.int16(draw_joint(np.random.default_rng(0), 3)[0])
    folder, affine = tmp_path / "mine", affine_of()
    folder.mkdir()
    nibabel.save(nibabel.Nifti1Image(image, affine), folder / "scan.nii.gz")
    write_nrrd(folder / "other.nrrd", image, affine)
    write_series(folder / "deep" / "series.1", image, affine)
    (folder / "notes.txt").write_text("no volume")
    return folder


@pytest.fixture
def weights(tmp_path):
    """A network that labels each of the classes somewhere, whatever the image."""
    torch.manual_seed(1)
    network = pediatric.Adversaries(TRIALS["pediatric"], None)
    return make_trial_folder(tmp_path / "trials" / "network", TRIALS["pediatric"], network)


def by_the_study(folder, path):
    """Labels and affine of a volume by what the study does with the slices of its test cases."""
    trial, volume = STUDY.stored_trial(folder), read_volume(path)
    images = prepare_for(trial, volume.array).pictures
    model = load_weights(folder / "weights.safetensors", pediatric.Adversaries(trial, None))
    labels = evaluation.labels_of([pediatric.predict(trial, model.network, images)])
    labels = evaluation.cleaned(labels, len(BONES), trial.strategy)
    return restored(labels, volume), volume.affine


def test_labels_are_those_of_the_study_on_the_grid_of_the_file(ankle, weights, tmp_path):
    out = ankle / "results"  # inside: labels are no new volumes
    for _ in range(2):
        table, problems, overlays = predict("pediatric", weights, [ankle], out, "cpu")
        assert problems == []
        assert (
            set(table["image"]) == {"deep-series.1", "other", "scan"} == {p.stem for p in overlays}
        )
    files = {"scan": "scan.nii.gz", "other": "other.nrrd", "deep-series.1": "deep/series.1"}
    for name, file in files.items():
        written = nibabel.load(out / "labels" / f"{name}.nii.gz")
        expected, affine = by_the_study(weights, ankle / file)
        np.testing.assert_array_equal(np.asarray(written.dataobj), expected)
        np.testing.assert_allclose(written.affine, affine, atol=1e-5)
        assert written.get_data_dtype() == np.uint8
        assert name == "deep-series.1" or written.shape == SHAPE
        found = table[table["image"] == name].set_index(["structure", "unit"])["value"]
        for number, bone in enumerate(BONES, 1):
            voxels = np.count_nonzero(expected == number)
            assert found[bone, "voxels"] == voxels
            assert found[bone, "mL"] == pytest.approx(voxels * 1.5 * 1.25 * 3.0 / 1000)
    assert len(np.unique(expected)) > 1  # else nothing was tested


def test_a_series_is_one_image_and_a_slice_is_none(ankle, tmp_path):
    besides = tmp_path / "out"
    assert list(find([ankle / "deep" / "series.1"], VOLUMES, besides)) == ["series.1"]
    single = next((ankle / "deep" / "series.1").iterdir())
    weights = make_trial_folder(tmp_path / "t", TRIALS["pediatric"])
    _, problems, _ = predict("pediatric", weights, [single], besides, "cpu")
    assert len(problems) == 1 and "found no volume; expected a volume (NIfTI" in problems[0]
    empty = tmp_path / "short"
    empty.mkdir()
    shutil.copy(single, empty)
    _, problems, _ = predict("pediatric", weights, [empty], besides, "cpu")
    assert "1 DICOM slices" in problems[0]


@pytest.mark.parametrize("degrees", [0.0, 20.0, 100.0, 200.0])
def test_planes_are_shown_upright(tmp_path, degrees):
    """A point to the right, in front and above of the middle is up and left wherever it shows."""
    affine = affine_of((1.5, 1.25, 3.0), degrees=degrees)
    shape = (20, 24, 11)
    middle = affine @ [*(n // 2 for n in shape), 1]
    place = np.linalg.inv(affine) @ (middle + [6.0, 6.0, 9.0, 0])
    image, mask = np.zeros(shape, np.int16), np.zeros(shape, bool)
    i, j, k = (int(v) for v in np.rint(place[:3]))
    image[i, j, k] = 100
    mask[i, j, k] = True
    nibabel.save(nibabel.Nifti1Image(image, affine), tmp_path / "a.nii")
    picture = read(tmp_path / "a.nii")
    mask = mask.transpose(picture.volume.axes)
    shown = views(picture, Segmentation({"tibia": mask}))
    assert [view.title for view in shown] == list(PLANES)
    for view in shown:
        rows, columns = np.nonzero(view.masks["tibia"])
        height, width = view.image.shape
        assert rows.mean() < height / 2 and view.masks["tibia"].shape == view.image.shape
        # the patient's right is on the left, and so is the front in the sagittal plane
        assert columns.mean() < width / 2
    sizes_mm = np.abs(np.array(shown[2].image.shape) * 1.25)
    assert sizes_mm.min() == pytest.approx(min(20 * 1.5, 24 * 1.25), abs=1.3)


def test_without_a_bone_the_middle_of_the_volume_is_shown(ankle):
    picture = read(ankle / "scan.nii.gz")
    nothing = {bone: np.zeros(picture.pixels.shape, bool) for bone in BONES}
    assert len(views(picture, Segmentation(nothing))) == 3
    assert read_volume(ankle / "scan.nii.gz").spacing_mm == picture.spacing_mm


# --- hand


@pytest.mark.parametrize("method", ["mose", "unet"])
def test_hands_are_segmented_as_in_the_study(tmp_path, method):
    root = make_hand_fixture(tmp_path / "hand", labelled=3, unlabelled=0).parent
    trial = replace(TRIALS["hand"], method=method)
    torch.manual_seed(3)
    network = hand_segmentation.network(trial)
    folder = make_trial_folder(tmp_path / "t", trial, network)
    data = hand.load(trial, str(root))
    expected = hand_segmentation.predict(trial, network, data.images)
    model = load_model("hand", folder)
    for row, path in enumerate(data.cases["image"]):
        pixels = read_image(path)[0]
        found = segment(model, pixels)
        masks = hand.out_of_square(expected.masks[row], pixels.shape)
        np.testing.assert_array_equal(np.stack(list(found.masks.values())), masks)
        assert list(found.masks) == list(hand.BONES) and masks.any()
        assert found.entropy.shape == pixels.shape and found.entropy.max() <= np.log(8) + 1e-6
        seen = expected.entropy[row][:, 9:-9]  # of 64 columns: without the padding
        assert found.entropy.mean() == pytest.approx(seen.mean(), rel=0.02)
    assert isinstance(model.network.network, MixtureSegmenter) == (method == "mose")


def test_doubt_is_written_in_nats(tmp_path):
    root = make_hand_fixture(tmp_path / "hand", labelled=3, unlabelled=0)
    folder = make_trial_folder(tmp_path / "t", TRIALS["hand"])
    image = root / "images/h01.png"
    table, problems, overlays = predict("hand", folder, [image], tmp_path / "out", "cpu")
    assert problems == [] and len(overlays) == 1
    stored = cv2.imread(str(tmp_path / "out/entropy/h01.png"), cv2.IMREAD_UNCHANGED)
    entropy = segment(load_model("hand", folder), read_image(image)[0]).entropy
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored / NATS_16_BIT, entropy, atol=1e-4)
    assert {"area", "mean_entropy", "cortical_index"} == set(table["measure"])


def test_the_config_of_a_trial_survives_as_json():
    """Networks are built from what is stored."""
    for study, trial in TRIALS.items():
        assert STUDIES[study].read_trial(json.loads(json.dumps(trial.to_json()))) == trial
