"""A model handed on: the ONNX file gives the masks of the network, the card says what is known."""

import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from lib.app.export import __main__ as command
from lib.app.export.card import export, trained_on_phantoms
from lib.app.predict.model import load_model
from lib.base import paths
from lib.base.errors import OsteoBookError
from lib.data.cases import find_cases
from lib.data.manifest import SYNTHETIC_MARK, fingerprint
from lib.studies.registry import STUDIES
from tests.make.knee import make_knee_fixture
from tests.make.trials import TRIALS, make_trial_folder


@pytest.mark.parametrize("study", STUDIES)
def test_the_file_takes_what_prediction_prepares(tmp_path, monkeypatch, study):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "t", TRIALS[study])
    out, difference = export(study, folder, tmp_path / "out")
    assert difference <= 1e-4 and {p.name for p in out.iterdir()} == {"model.onnx", "model_card.md"}
    model = load_model(study, folder)
    image = np.random.default_rng(0).random((70, 90), np.float32)
    inputs = model.reader.prepare(model.trial, image).inputs
    session = onnxruntime.InferenceSession(str(out / "model.onnx"))
    (logits,) = session.run(None, {"image": inputs})
    with torch.no_grad():
        expected = model.network(torch.from_numpy(inputs)).numpy()
    assert logits.shape[1] == len(model.structures) + model.reader.classes
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    card = (out / "model_card.md").read_text()
    assert f"N x {' x '.join(map(str, inputs.shape[1:]))}." in card


def test_the_card_reports_the_trial(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "trial-7", TRIALS["wrist"])
    monkeypatch.setattr(paths, "FIGURES", tmp_path / "figures")
    assert command.main(["--study", "wrist", "--weights", str(folder)]) == 0
    out = tmp_path / "figures/wrist/private/exported/trial-7"
    assert str(out) in capsys.readouterr().out
    card = (out / "model_card.md").read_text()
    for heading in ("Intended use", "Training data", "Metrics", "Limits", "Input and output"):
        assert f"## {heading}\n" in card
    assert "**Not for clinical use.**" in card and STUDIES["wrist"].reader.limits[0] in card
    assert "| first | dice | fraction | 0.700 | 0.200 | 3 |" in card  # of 0.5, 0.7, 0.9
    assert "| tp |" not in card and "3 images of 2 subjects" in card
    assert "**To be filled in:** where the images come from" in card and "ynthetic" not in card
    assert f"| epochs | {TRIALS['wrist'].epochs} |" in card


@pytest.mark.parametrize(
    ("study", "told"),
    [("hand", "own validation and test images ("), ("humerus", "own held-out images ("),
     ("wrist", "own test images (")],
)  # fmt: skip
def test_images_that_chose_the_epoch_are_not_called_test_images(tmp_path, monkeypatch, study, told):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "t", TRIALS[study])
    export(study, folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert told in card and ("epoch was chosen on" in card) == (study != "wrist")


def test_synthetic_training_data_are_stated(tmp_path, monkeypatch):
    root = tmp_path / "phantoms/knee-x"
    make_knee_fixture(root / "knee", subjects=2, frames=2)
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "phantoms")
    data = fingerprint(find_cases(root, "knee"))
    folder = make_trial_folder(tmp_path / "t", TRIALS["knee"], data=data)
    note = (root / "knee" / SYNTHETIC_MARK).read_text().strip()
    assert trained_on_phantoms(load_model("knee", folder)) == note
    export("knee", folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert f"**Synthetic training data.** {note}" in card and "To be filled in" not in card
    (root / "knee/images/k01.png").write_bytes((root / "knee/images/k02.png").read_bytes()[:-1])
    assert trained_on_phantoms(load_model("knee", folder)) == ""


def test_a_record_of_the_data_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "t", TRIALS["hand"])
    for note, told in (("Drawn hands.", "**Synthetic training data.** Drawn hands."),
                       ("", "They are a user's own")):  # fmt: skip
        (folder / "data.json").write_text(json.dumps({"synthetic": bool(note), "note": note}))
        export("hand", folder, tmp_path / "out")
        card = (tmp_path / "out/model_card.md").read_text()
        assert told in card and ("ynthetic" in card) == bool(note)


def test_a_network_is_reported_by_the_trial_that_evaluated_it(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "network", TRIALS["pediatric"])
    (folder / "metrics.csv").unlink()
    with pytest.raises(OsteoBookError, match="no metrics.csv"):
        export("pediatric", folder, tmp_path / "out")
    for name, networks in (("first", ["network", "b"]), ("second", ["network"])):
        place = make_trial_folder(tmp_path / name, TRIALS["pediatric"])
        trial = {"study": "pediatric", "kind": "evaluation", "networks": networks}
        (place / "config.json").write_text(json.dumps({"trial": trial}))
        metrics = pd.read_csv(place / "metrics.csv")
        metrics.assign(structure=name).to_csv(place / "metrics.csv", index=False)
    export("pediatric", folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert "| second | dice | fraction | 0.700 |" in card and "| first |" not in card


def test_changed_code_is_stated_and_missing_metrics_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PHANTOMS", tmp_path / "none")
    folder = make_trial_folder(tmp_path / "t", TRIALS["wrist"])
    config = json.loads((folder / "config.json").read_text())
    config["modules"] = {"lib.models.unet": "0", "lib.training.loop": "0"}
    (folder / "config.json").write_text(json.dumps(config))
    export("wrist", folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert "changed since the training: lib.models.unet." in card
    assert "ynthetic" not in card
    metrics = pd.read_csv(folder / "metrics.csv")
    metrics["case"] = metrics["case"].map({"a": "wrist00000", "b": "wrist00001", "c": "wrist00010"})
    metrics.to_csv(folder / "metrics.csv", index=False)
    export("wrist", folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert "named as phantoms are (wrist00000): **probably synthetic**" in card
    (folder / "metrics.csv").unlink()
    with pytest.raises(OsteoBookError, match="no metrics.csv"):
        export("wrist", folder, tmp_path / "out")


def test_wrong_weights_are_told_by_the_command(tmp_path, capsys):
    assert command.main(["--study", "knee", "--weights", str(tmp_path)]) == 2
    assert "no config.json" in capsys.readouterr().err
