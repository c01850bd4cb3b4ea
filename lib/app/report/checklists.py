"""Checklist for AI in medical imaging, filled for every study from what the code knows.

``python -m lib.app.report.checklists`` writes ``figures/<study>/checklist.csv``; the book shows
them. Items are numbered as in CLAIM (Mongan, Moy and Kahn, Radiol. Artif. Intell. 2, 2020) and
worded by us. What nobody told the code is shown as not stated, and never made up.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

import nbformat
import pandas as pd
import yaml

from lib.app.report.ledger import NOT_RUN, PHANTOM, ledger
from lib.base import paths
from lib.base.errors import OsteoBookError
from lib.base.files import write_table
from lib.evidence.claims import claims_of
from lib.studies.registry import STUDIES

STATED, NOT_STATED = "stated", "not stated"
NO_PATIENTS = "does not apply on phantoms"
OF_PATIENTS = (5, 8, 12, 15, 16, 17, 18, 33, 34)  # items that ask for people
COLUMNS = ["item", "section", "topic", "state", "answer", "source"]
OF_RUN = (24, 29, 35)  # items whose texts hold once the study has run
REFUSED = "Files that are missing or cannot be used are refused and named"
NUMBERED = "Published tables number cases and subjects; pictures of them stay out of git"
READER = {"wrist": "a simulated reader leaves 0.8 to 4 mm around a fracture, drawn for each image"}
ITEMS = paths.DATA / "claim_checklist.csv"
LEDGER = "figures/ledger.csv"


def checklist(study: str, claims: pd.DataFrame | None = None) -> pd.DataFrame:
    """The 42 items: item, section, topic, state, answer ("" where not stated), source (a file).

    Of the run on phantoms, or where there is none of the run on real images.

    Args:
        study: a name in ``lib.studies.registry.STUDIES``.
        claims: the ledger; read anew if left out.
    """
    claims = ledger() if claims is None else claims
    rows = claims[claims["study"] == study]
    run = rows[rows["data"] == PHANTOM] if (rows["data"] == PHANTOM).any() else rows
    design, phantoms = _of_design(study, run), (run["data"] == PHANTOM).all()
    made = _of_phantoms(study, design) if phantoms else {12: (NUMBERED, "lib/figures/saving.py")}
    answers = design | made | _of_notebook(study) | _of_run(study, run) | _of_real(rows)
    table = pd.read_csv(ITEMS)
    for column, place in (("answer", 0), ("source", 1)):
        table[column] = [answers.get(item, ("", ""))[place] for item in table["item"]]
    table["state"] = [STATED if answer else NOT_STATED for answer in table["answer"]]
    if phantoms:
        without = table["item"].isin(OF_PATIENTS) & (table["answer"] == "")
        table.loc[without, "state"] = NO_PATIENTS
    return table[COLUMNS]


def _of_design(study: str, run: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """What holds whatever the data: the study's texts with the profile's numbers."""
    reader, package = STUDIES[study].reader, f"lib/studies/{study}"
    card = f"{package}/predict.py"
    settings = _flat_settings(study, run)
    texts = _texts(study, settings | {"seen": reader.seen, "refused": REFUSED})
    hidden = ("weights", "phantoms", "phantom_size")  # told by items 24 and 7
    listed = ", ".join(f"{name} = {v}" for name, v in settings.items() if name not in hidden)
    return {
        6: ("Rebuilds a published method and compares its variants; no new tool", "README.md"),
        9: (reader.seen, card),
        11: (reader.purpose, card),
        13: (REFUSED, "lib/app/check_data.py"),
        25: (f"{_profile(run)} profile: {listed}", f"{package}/profiles.yaml"),
        39: ("None: for research and teaching, not for clinical use", card),
    } | {
        item: (text, f"{package}/checklist.yaml")
        for item, text in texts.items()
        if item not in OF_RUN
    }


def _flat_settings(study: str, run: pd.DataFrame) -> dict:
    return pd.json_normalize(STUDIES[study].settings(_profile(run))).to_dict("records")[0]


def _texts(study: str, known: dict) -> dict[int, str]:
    """The study's own answers by item, filled in; weights stay to be named by a run."""
    return {item: text.format(**known) for item, text in own_answers(study).items()}


def own_answers(study: str) -> dict[int, str]:
    """What ``lib/studies/<study>/checklist.yaml`` says, by item."""
    place = files("lib.studies") / study / "checklist.yaml"
    return yaml.safe_load(place.read_text(encoding="utf-8"))


def _of_phantoms(study: str, design: dict[int, tuple[str, str]]) -> dict[int, tuple[str, str]]:
    """What a generator knows of its pictures."""
    truth = READER.get(study, "exact, as the generator knows it")
    found = {14: (f"{design[14][0]}; {truth}", "lib/phantoms")}
    found[32] = ("None: training and test are of one generator", "lib/phantoms")
    if study in READER:
        found[18] = (READER[study].capitalize(), "lib/phantoms")
    return found


def _of_notebook(study: str) -> dict[int, tuple[str, str]]:
    """Title, summary, claim and limits, as the study's notebook has them."""
    notebook = paths.notebooks().get(study)
    if notebook is None:
        return {}
    cells = nbformat.read(notebook, as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    if not texts:
        return {}
    title, _, summary = texts[0].partition("\n")
    found = {1: title.removeprefix("# "), 2: _paragraph(summary)}
    for item, heading in ((3, "What the paper claims"), (38, "Limits")):
        for text in texts:
            first, _, rest = text.partition("\n")
            if first.startswith("## ") and first.endswith(heading):
                claimed = f"As the paper claims: {_paragraph(rest)}"
                found[item] = claimed if item == 3 else _joined(rest)
    source = notebook.relative_to(paths.NOTEBOOKS.parent).as_posix()
    return {item: (text.replace("*", "").replace("`", ""), source) for item, text in found.items()}


def _of_run(study: str, run: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """Data, versions, tests and results; of a study that has not run its claims only."""
    claims = claims_of(study)
    asked = "; ".join(f"{row.claim}: {row.statement}" for row in claims.itertuples())
    found = {4: (asked, "data/reference/claims_all.csv")}
    if (run["verdict"] == NOT_RUN).all():
        return found
    row, source = run.iloc[0], _source(study, run)
    versions = ", ".join(f"{name} {version}" for name, version in source["versions"].items())
    record = f"figures/{study}/provenance.json"
    weights = source.get("weights", "none")
    named = [
        "random" if w == "none" else w for w in ([weights] if isinstance(weights, str) else weights)
    ]
    texts = _texts(
        study, _flat_settings(study, run) | {"weights": ", ".join(named), "seen": "", "refused": ""}
    )
    units = f"At most {run['n'].max()} units (subjects, examinations or images) behind a claim"
    found |= {
        7: (f"{source['data']} Fingerprint {row.fingerprint}", record),
        19: (f"{units}; no sample size was calculated", LEDGER),
        23: (versions, record),
        24: (texts[24], record),
        29: (texts[29], f"lib/studies/{study}/checklist.yaml"),
        35: (f"{texts[35]} Claims: {_counted(run)}", LEDGER),
        41: (f"Notebook and library; repeated by {row.command}", LEDGER),
    }
    if estimates := _estimates(run):
        found[36] = (estimates, LEDGER)
    return found


def _of_real(rows: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """The same claims on real images, where they were tried beside phantoms."""
    real = rows[(rows["data"] != PHANTOM) & (rows["verdict"] != NOT_RUN)]
    if real.empty or not (rows["data"] == PHANTOM).any():
        return {}
    return {32: (f"Trained and tested anew on real images. Claims: {_counted(real)}", LEDGER)}


def _profile(run: pd.DataFrame) -> str:
    return run["profile"].dropna().iloc[0] if run["profile"].notna().any() else "paper"


def _source(study: str, run: pd.DataFrame) -> dict:
    place = paths.FIGURES / study / ("" if run["data"].iloc[0] == PHANTOM else "own")
    return json.loads((place / "provenance.json").read_text(encoding="utf-8"))["claims"]


def _counted(run: pd.DataFrame) -> str:
    """Verdicts with their numbers."""
    return ", ".join(f"{n} {verdict}" for verdict, n in run["verdict"].value_counts().items())


def _estimates(run: pd.DataFrame) -> str:
    """The deciding number of every claim that has one."""
    known = run[run["mean"].notna()]
    return "; ".join(
        f"{row.claim} {row.measure}: {row.mean:.3g}"
        + ("" if pd.isna(row.low) else f" [{row.low:.3g}, {row.high:.3g}]")
        for row in known.itertuples()
    )


def _paragraph(text: str) -> str:
    return next((part.strip() for part in text.split("\n\n") if part.strip()), "")


def _joined(text: str) -> str:
    """A list in Markdown as one line."""
    lines = (line.strip().removeprefix("- ") for line in text.splitlines())
    return " ".join(line for line in lines if line)


def write() -> list[Path]:
    """Write ``figures/<study>/checklist.csv`` of every study; returns those that changed."""
    claims, changed = ledger(), []
    for study in STUDIES:
        path = paths.FIGURES / study / "checklist.csv"
        before = path.read_bytes() if path.exists() else b""
        write_table(checklist(study, claims), path)
        changed += [path] if path.read_bytes() != before else []
    return changed


def main() -> int:
    """Write the checklists and tell what changed; exit code 0, or 2 with a message."""
    try:
        changed = write()
    except OsteoBookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
