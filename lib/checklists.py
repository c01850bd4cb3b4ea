"""Checklist for AI in medical imaging, filled for every study from what the code knows.

``python -m lib.checklists`` writes ``figures/<study>/checklist.csv``; the book shows them. Items
are numbered as in CLAIM (Mongan, Moy and Kahn, Radiol. Artif. Intell. 2, 2020) and worded by us.
What nobody told the code is shown as not stated, and never made up.
"""

import json
import sys
from pathlib import Path

import nbformat
import pandas as pd

from lib import paths
from lib.claims import claims_of
from lib.errors import OsteoBookError
from lib.files import write_table
from lib.ledger import NOT_RUN, PHANTOM, ledger
from lib.prediction import TASKS
from lib.profiles import profile_settings

STATED, NOT_STATED = "stated", "not stated"
NO_PATIENTS = "does not apply on phantoms"
OF_PATIENTS = (5, 8, 12, 15, 16, 17, 18, 33, 34)  # items that ask for people
COLUMNS = ["item", "section", "topic", "state", "answer", "source"]
ITEMS, ANSWERS = (paths.DATA / "checklists" / name for name in ("claim.csv", "studies.csv"))
TEXTS = "data/checklists/studies.csv"
PROFILE = "lib/profiles.py"
LEDGER = "figures/ledger.csv"


def checklist(study: str, claims: pd.DataFrame | None = None) -> pd.DataFrame:
    """The 42 items: item, section, topic, state, answer ("" where not stated), source (a file).

    Of the run on phantoms, or where there is none of the run on real images.

    Args:
        study: one of ``lib.paths.STUDIES``.
        claims: the ledger; read anew if left out.
    """
    claims = ledger() if claims is None else claims
    rows = claims[claims["study"] == study]
    run = rows[rows["data"] == PHANTOM] if (rows["data"] == PHANTOM).any() else rows
    answers = _of_design(study, run) | _of_notebook(study) | _of_run(study, run)
    table = pd.read_csv(ITEMS)
    for column, place in (("answer", 0), ("source", 1)):
        table[column] = [answers.get(item, ("", ""))[place] for item in table["item"]]
    table["state"] = [STATED if answer else NOT_STATED for answer in table["answer"]]
    if (run["data"] == PHANTOM).all():
        without = table["item"].isin(OF_PATIENTS) & (table["answer"] == "")
        table.loc[without, "state"] = NO_PATIENTS
    return table[COLUMNS]


def _of_design(study: str, run: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """What holds whatever the data: the study's texts with the profile's numbers, its task."""
    settings, task = profile_settings(study, _profile(run)), TASKS[study]
    texts = pd.read_csv(ANSWERS)
    texts = texts[texts["study"] == study].set_index("item")["answer"]
    found = {item: (text.format(**settings), TEXTS) for item, text in texts.items()}
    if (run["data"] == PHANTOM).all():
        found[14] = (f"{found[14][0]}; exact, as the generator knows it", "lib/phantoms")
    listed = ", ".join(f"{name} = {value}" for name, value in settings.items())
    card = "lib/prediction"
    return found | {
        6: ("Rebuilds a published method and compares its variants; no new tool", "README.md"),
        9: (task.seen, card),
        11: (task.purpose, card),
        13: ("Files that are missing or cannot be used are refused and named", "lib/data/check.py"),
        25: (f"{_profile(run)} profile: {listed}", PROFILE),
        39: ("None: for research and teaching, not for clinical use", card),
    }


def _of_notebook(study: str) -> dict[int, tuple[str, str]]:
    """Title, summary, claim and limits, as the study's notebook has them."""
    notebook = paths.NOTEBOOKS / f"{paths.STUDIES[study]}.ipynb"
    if not notebook.exists():
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
                found[item] = _paragraph(rest) if item == 3 else _joined(rest)
    source = notebook.relative_to(paths.NOTEBOOKS.parent).as_posix()
    return {item: (text, source) for item, text in found.items()}


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
    tests = sorted({test.split(" (")[0] for test in run["test"].dropna() if test})
    adjusted = f"; {', '.join(tests)}, adjusted within a claim (Holm)" if tests else ""
    found |= {
        7: (f"{source['data']} Fingerprint {row.fingerprint}", record),
        19: (f"At most {run['n'].max()} independent units behind a claim; no calculation", LEDGER),
        23: (versions, record),
        29: (f"95 % intervals, units resampled{adjusted}", LEDGER),
        35: (_counted(run), LEDGER),
        41: (row.command, LEDGER),
    }
    if weights := source.get("weights"):
        names = weights if isinstance(weights, str) else ", ".join(weights)
        found[24] = ("random" if names == "none" else names, record)
    if estimates := _estimates(run):
        found[36] = (estimates, LEDGER)
    return found


def _profile(run: pd.DataFrame) -> str:
    return run["profile"].dropna().iloc[0] if run["profile"].notna().any() else "paper"


def _source(study: str, run: pd.DataFrame) -> dict:
    place = paths.FIGURES / study / ("" if run["data"].iloc[0] == PHANTOM else "own")
    return json.loads((place / "provenance.json").read_text(encoding="utf-8"))["claims"]


def _counted(run: pd.DataFrame) -> str:
    counts = run["verdict"].value_counts()
    listed = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    return f"Test part only. Claims: {listed}"


def _estimates(run: pd.DataFrame) -> str:
    """The deciding number of every claim that has one."""
    known = run[run["mean"].notna()]
    return "; ".join(
        f"{row.claim} {row.measure} {row.mean:.3g}"
        + ("" if pd.isna(row.low) else f" [{row.low:.3g}, {row.high:.3g}]")
        for row in known.itertuples()
    )


def _paragraph(text: str) -> str:
    return next((part.strip() for part in text.split("\n\n") if part.strip()), "")


def _joined(text: str) -> str:
    """A list in Markdown as one line."""
    lines = (line.strip().removeprefix("- ").replace("**", "") for line in text.splitlines())
    return " ".join(line for line in lines if line)


def write() -> list[Path]:
    """Write ``figures/<study>/checklist.csv`` of every study; returns those that changed."""
    claims, changed = ledger(), []
    for study in paths.STUDIES:
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
