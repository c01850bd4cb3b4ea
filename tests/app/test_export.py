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
from lib.studies.registry import STUDIES
from tests.make.trials import TRIALS, make_trial_folder


@pytest.mark.parametrize("study", STUDIES)
def test_the_file_takes_what_prediction_prepares(tmp_path, study):
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
def test_images_that_chose_the_epoch_are_not_called_test_images(tmp_path, study, told):
    folder = make_trial_folder(tmp_path / "t", TRIALS[study])
    export(study, folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert told in card and ("epoch was chosen on" in card) == (study != "wrist")


def test_synthetic_training_data_are_stated(tmp_path):
    for note, told in (("Drawn hands.", "**Synthetic training data.** Drawn hands."),
                       ("", "They are a user's own")):  # fmt: skip
        folder = make_trial_folder(tmp_path / f"t{len(note)}", TRIALS["hand"], note=note)
        assert trained_on_phantoms(load_model("hand", folder)) == note
        export("hand", folder, tmp_path / "out")
        card = (tmp_path / "out/model_card.md").read_text()
        assert told in card and ("ynthetic" in card) == bool(note)
        assert ("To be filled in" in card) != bool(note)


def test_a_network_is_reported_by_the_trial_that_evaluated_it(tmp_path):
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


def test_changed_code_is_stated(tmp_path):
    folder = make_trial_folder(tmp_path / "t", TRIALS["wrist"])
    config = json.loads((folder / "config.json").read_text())
    config["modules"] = {"lib.models.unet": "0", "lib.training.loop": "0"}
    (folder / "config.json").write_text(json.dumps(config))
    export("wrist", folder, tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    assert "changed since the training: lib.models.unet." in card


@pytest.mark.parametrize("name", ["metrics.csv", "data.json"])
def test_a_trial_without_its_tables_is_an_error(tmp_path, name):
    folder = make_trial_folder(tmp_path / "t", TRIALS["wrist"])
    (folder / name).unlink()
    with pytest.raises(OsteoBookError, match=f"no {name}"):
        export("wrist", folder, tmp_path / "out")


def test_wrong_weights_are_told_by_the_command(tmp_path, capsys):
    assert command.main(["--study", "knee", "--weights", str(tmp_path)]) == 2
    assert "no config.json" in capsys.readouterr().err
