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

from lib.app.report.command import run_command, write_changed
from lib.app.report.ledger import NOT_RUN, PHANTOM, REAL, ledger
from lib.base import paths
from lib.evidence.claims import claims_of
from lib.studies.registry import STUDIES

STATED, NOT_STATED = "stated", "not stated"
NO_PATIENTS = "does not apply on phantoms"
OF_PATIENTS = (5, 8, 12, 15, 16, 17, 18, 33, 34)  # items that ask for people
COLUMNS = ["item", "section", "topic", "state", "answer", "source"]
REFUSED = "Files that are missing or cannot be used are refused and named"
TOLD_ELSEWHERE = ("weights", "phantoms", "phantom_size")  # settings, by items 24 and 7
ITEMS = paths.DATA / "claim_checklist.csv"
OWN = ("{text}", "lib/studies/{study}/checklist.yaml")
Answers = dict[int, tuple[str, str]]  # item -> answer, source


def checklist(study: str, claims: pd.DataFrame | None = None) -> pd.DataFrame:
    """The 42 items: item, section, topic, state, answer ("" where not stated), source (a file).

    Of the run on phantoms, or where there is none of the run on real images.

    Args:
        study: a name in ``lib.studies.registry.STUDIES``.
        claims: the ledger; read anew if left out.
    """
    claims = ledger() if claims is None else claims
    rows = claims[claims["study"] == study]
    drawn = rows["data"] == PHANTOM
    run, real = (rows[drawn] if drawn.any() else rows), rows[rows["data"] == REAL]
    answers = _answers(study, run, real) | _of_notebook(study)
    table = pd.read_csv(ITEMS)
    table["answer"], table["source"] = zip(
        *(answers.get(item, ("", "")) for item in table["item"]), strict=True
    )
    stated = table["answer"] != ""
    table["state"] = stated.map({True: STATED, False: NOT_STATED})
    if drawn.any():
        table.loc[table["item"].isin(OF_PATIENTS) & ~stated, "state"] = NO_PATIENTS
    return table[COLUMNS]


def _answers(study: str, run: pd.DataFrame, real: pd.DataFrame) -> Answers:
    """The texts that hold for this study and run, filled in."""
    texts, own = _read("lib.app.report"), own_answers(study)
    after_run = texts["after a run"]
    stated = {item: OWN for item in own if item not in after_run}
    answers = texts["every study"] | stated
    known = _of_design(study, run)
    if (run["data"] == PHANTOM).all():
        answers |= texts["on phantoms"] | texts.get(f"{study} on phantoms", {})
        if len(real):
            answers |= texts["after a run on real images too"]
            known["real_verdicts"] = _verdicts(real)
    else:
        answers |= texts["on other images"]
    if (run["verdict"] != NOT_RUN).any():
        answers |= after_run
        known |= _of_run(study, run)
    filled = {}
    for item, (answer, source) in answers.items():
        text = own[item].format(**known) if "{text}" in answer else ""
        if told := answer.format(text=text, **known):
            filled[item] = told, source.format(study=study)
    return filled


def own_answers(study: str) -> dict[int, str]:
    """What ``lib/studies/<study>/checklist.yaml`` says, by item."""
    return _read(f"lib.studies.{study}")


def _read(package: str) -> dict:
    return yaml.safe_load((files(package) / "checklist.yaml").read_text(encoding="utf-8"))


def _of_design(study: str, run: pd.DataFrame) -> dict:
    """What is known without a run: profile, reader and claims."""
    reader, claims = STUDIES[study].reader, claims_of(study)
    profiles = run["profile"].dropna()
    profile = "paper" if profiles.empty else profiles.iloc[0]
    settings = pd.json_normalize(STUDIES[study].settings(profile)).to_dict("records")[0]
    listed = [f"{name} = {v}" for name, v in settings.items() if name not in TOLD_ELSEWHERE]
    return settings | {
        "profile": profile,
        "settings": ", ".join(listed),
        "seen": reader.seen,
        "purpose": reader.purpose,
        "refused": REFUSED,
        "claims": "; ".join(f"{row.claim}: {row.statement}" for row in claims.itertuples()),
    }


def _of_run(study: str, run: pd.DataFrame) -> dict:
    """What a run tells: data, versions, weights, results."""
    place = paths.FIGURES / study / ("" if run["data"].iloc[0] == PHANTOM else "own")
    record = json.loads((place / "provenance.json").read_text(encoding="utf-8"))["claims"]
    weights = record.get("weights", "none")
    named = [weights] if isinstance(weights, str) else weights
    return {
        "data": record["data"],
        "fingerprint": run["fingerprint"].iloc[0],
        "n": run["n"].max(),
        "versions": ", ".join(f"{name} {v}" for name, v in record["versions"].items()),
        "weights": ", ".join("random" if name == "none" else name for name in named),
        "verdicts": _verdicts(run),
        "estimates": _estimates(run),
        "command": run["command"].iloc[0],
    }


def _of_notebook(study: str) -> Answers:
    """Title, summary, claim and limits, as the study's notebook has them."""
    notebook = paths.notebooks().get(study)
    if notebook is None:
        return {}
    cells = nbformat.read(notebook, as_version=4).cells
    texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    parts = [text.partition("\n")[::2] for text in texts]  # first line, rest
    if not parts:
        return {}
    title, summary = parts[0]
    answers = {1: title.removeprefix("# "), 2: _paragraph(summary)}
    for heading, text in parts:
        if heading.startswith("## ") and heading.endswith("What the paper claims"):
            answers[3] = f"As the paper claims: {_paragraph(text)}"
        if heading.startswith("## ") and heading.endswith("Limits"):
            answers[38] = _joined(text)
    source = notebook.relative_to(paths.NOTEBOOKS.parent).as_posix()
    return {
        item: (text.replace("*", "").replace("`", ""), source) for item, text in answers.items()
    }


def _verdicts(run: pd.DataFrame) -> str:
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
    claims, written = ledger(), []
    for study in STUDIES:
        written += write_changed(checklist(study, claims), paths.FIGURES / study / "checklist.csv")
    return written


def main() -> int:
    """Write the checklists and tell what changed; exit code 0, or 2 with a message."""
    return run_command(write)


if __name__ == "__main__":
    sys.exit(main())
