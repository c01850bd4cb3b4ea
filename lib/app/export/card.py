"""A trained model to be handed on: an ONNX file, and a card that says what it is and is not.

The card holds what the code knows; what it cannot know stands there as to be filled in.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from lib.app.predict.model import Model, changed_code, load_model
from lib.app.predict.results import default_folder
from lib.base.errors import OsteoBookError
from lib.base.files import replacing
from lib.base.tables import read_table
from lib.data.prepared import THRESHOLD
from lib.engine.onnx_export import TOLERANCE, export_onnx
from lib.engine.trials import DATA_RECORD

BLANK = np.zeros((64, 64), np.float32)
COUNTS = ("tp", "fp", "fn", "tn")  # of pixels, which say nothing without their sum


def export(study: str, weights: str | Path, out: str | Path | None = None) -> tuple[Path, float]:
    """Write model.onnx (images -> logits), compared with the network, and model_card.md.

    Args:
        study: a name in ``lib.studies.registry.STUDIES``.
        weights: folder of a trial: config.json, weights.safetensors and metrics.csv.
        out: default: figures/<study>/private/exported/<name of the trial's folder>.

    Returns:
        The folder, and the largest difference of a logit.

    Raises:
        OsteoBookError: if there is no such model, its metrics are missing, the file disagrees with
            the network, or ``out`` cannot be written.
    """
    model = load_model(study, weights)
    metrics = _metrics(model.folder)
    name = model.folder.resolve().name
    out = Path(out or default_folder(study, "exported") / name).expanduser()
    shape = model.reader.prepare(model.trial, BLANK).inputs.shape[1:]
    with warnings.catch_warnings():
        # Networks check the size of their images, which is fixed in the file.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        difference = export_onnx(model.network, shape, out / "model.onnx")
    with replacing(out / "model_card.md") as temporary:
        temporary.write_text(model_card(model, metrics, shape, difference), encoding="utf-8")
    return out, difference


def _metrics(folder: Path) -> pd.DataFrame:
    """Metrics of a trial: its own, or those of the trial beside it that evaluated its network."""
    evaluations = (path.parent for path in sorted(folder.parent.glob("[!.]*/config.json")))
    for place in (folder, *(place for place in evaluations if _evaluates(place, folder))):
        if (place / "metrics.csv").is_file():
            return read_table(place / "metrics.csv")
    raise _missing(folder / "metrics.csv")


def _missing(file: Path) -> OsteoBookError:
    return OsteoBookError(
        f"{file.parent}: found no {file.name}; expected that of a finished trial, which the card "
        "reports. Fix: run the study again."
    )


def _evaluates(place: Path, folder: Path) -> bool:
    trial = json.loads((place / "config.json").read_text())["trial"]
    return trial.get("networks") == [folder.resolve().name]


def model_card(
    model: Model, metrics: pd.DataFrame, shape: tuple[int, int, int], difference: float
) -> str:
    """Markdown after Mitchell et al., "Model cards for model reporting" (FAT* 2019).

    Args:
        model: of ``load_model``.
        metrics: metrics.csv of its trial.
        shape: C, H, W of its input.
        difference: largest difference of a logit between file and network.
    """
    names = [*(["background"] if model.reader.classes else []), *model.structures]
    return _template().render(
        reader=model.reader,
        trial=model.config["trial"],
        parameters=sum(p.numel() for p in model.network.parameters()),
        note=trained_on_phantoms(model),
        fingerprint=model.config["data"],
        images=metrics["case"].nunique(),
        subjects=metrics["subject"].nunique(),
        scores=_scores(metrics),
        shape=shape,
        channels=names,
        threshold=THRESHOLD,
        difference=difference,
        tolerance=TOLERANCE,
        versions=model.config.get("versions", {}),
        changed=changed_code(model),
    )


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("card.md.j2")


def trained_on_phantoms(model: Model) -> str:
    """What the phantoms it was trained on say of themselves; "" for images of a user.

    Raises:
        OsteoBookError: if its trial keeps no record of its data.
    """
    record = model.folder / DATA_RECORD
    if not record.is_file():
        raise _missing(record)
    return json.loads(record.read_text(encoding="utf-8"))["note"]


def _scores(metrics: pd.DataFrame) -> list[tuple]:
    """Structure, metric, unit, mean, SD and n of each."""
    shown = metrics[~metrics["metric"].isin(COUNTS)]
    grouped = shown.groupby(["structure", "metric", "unit"], sort=False)["value"]
    table = grouped.agg(["mean", "std", "count"]).reset_index()
    return list(table.itertuples(index=False, name=None))
