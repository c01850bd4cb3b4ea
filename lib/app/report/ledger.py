"""Result ledger: every claim of the five papers beside what we found, in one table.

``python -m lib.app.report.ledger`` writes ``figures/ledger.csv`` and, between two markers, the same
in short into the README. Nothing is typed: the papers' side comes from
``data/reference/claims_all.csv``, ours from each study's ``claims.csv`` and ``provenance.json``, as
its notebook left them.
"""

import json
import sys
from pathlib import Path

import pandas as pd

from lib.app.report.command import run_command, write_changed
from lib.app.report.readme import write_part
from lib.base import paths
from lib.base.errors import SettingError
from lib.evidence.claims import VERDICTS, Estimate, claims_of
from lib.studies.registry import STUDIES

NOT_RUN = "not run"
PHANTOM, REAL = "phantom", "real"
ESTIMATE = list(Estimate._fields)
OURS = ["verdict", "evidence", "n", "p", *ESTIMATE]
RUN = ["data", "profile", "seeds", "device", "minutes", "fingerprint", "command"]
COLUMNS = ["study", "claim", "statement", "paper_evidence", "paper_numbers", *OURS, *RUN]
SHOWN = 120  # characters of a cell in the README


def ledger() -> pd.DataFrame:
    """One row for each claim and each kind of data it was tried on, in the papers' order.

    Columns: study, claim, statement, paper_evidence, paper_numbers (the verdict from the paper's
    own arithmetic); on our data verdict, evidence, n, p (adjusted; missing without a test) and the
    number that decides: measure, mean, sd, low and high (95 %), test, all missing where an older
    table has none; data ("phantom" or "real"), profile, seeds, device, minutes (of all trainings
    together; missing where not recorded), fingerprint (of the data), command. A study without
    results has verdict "not run".
    """
    names = pd.read_csv(paths.REFERENCE / "claims_all.csv")["study"].unique()
    table = pd.concat([_study(name) for name in names], ignore_index=True)
    numbers = ("p", "minutes", "mean", "sd", "low", "high")
    return table[COLUMNS].astype({"n": "Int64"} | dict.fromkeys(numbers, "Float64"))


def _study(study: str) -> pd.DataFrame:
    """The claims of one study with the results of each run; in the order claim, phantom, real."""
    claims = claims_of(study).assign(study=study)
    places = [paths.FIGURES / study, paths.FIGURES / study / "own"]
    runs = [_results(study, place) for place in places if _source(place)]
    if not runs:
        return claims.assign(verdict=NOT_RUN).reindex(columns=COLUMNS)
    table = pd.concat([claims.merge(run, on="claim", validate="1:1") for run in runs])
    return table.set_index("claim").loc[claims["claim"]].reset_index()


def _source(place: Path) -> dict:
    """Where the claims of a run come from; empty unless it completed."""
    record = place / "provenance.json"
    if not (record.exists() and (place / "claims.csv").exists()):
        return {}
    return json.loads(record.read_text(encoding="utf-8")).get("claims", {})


def _results(study: str, place: Path) -> pd.DataFrame:
    """Verdicts of one run and how it was made: claim, OURS, RUN."""
    claims, source = pd.read_csv(place / "claims.csv"), _source(place)
    if list(claims["claim"]) != list(claims_of(study)["claim"]):
        raise SettingError(
            f"{place / 'claims.csv'}: found claims {', '.join(claims['claim'])}; expected those of "
            f"claims_all.csv. Fix: ./run_all.sh --only {study}"
        )
    command = f"./run_all.sh --only {study} --profile {source['profile']} --seed {source['seed']}"
    count = STUDIES[study].settings(source["profile"]).get("seeds", 1)
    seeds = source.get("seeds", range(source["seed"], source["seed"] + count))
    return claims.reindex(columns=["claim", *OURS]).assign(  # older tables have no estimate
        data=PHANTOM if source["synthetic"] else REAL,
        profile=source["profile"],
        seeds=" ".join(map(str, seeds)),
        device=source["device"],
        minutes=source.get("minutes"),
        fingerprint=source["fingerprint"],
        command=command if source["synthetic"] else f"{command} --data-root DIR",
    )


def counts(table: pd.DataFrame) -> dict[str, str]:
    """For each kind of data, and claims not run, one line that counts the verdicts."""
    lines = {}
    for data, rows in table.dropna(subset="data").groupby("data", sort=False):
        numbers = rows["verdict"].value_counts()
        listed = ", ".join(f"{numbers[name]} {name}" for name in VERDICTS if name in numbers)
        lines[data] = f"{len(rows)} claims: {listed}"
    waiting = table[table["verdict"] == NOT_RUN]
    if len(waiting):
        lines[NOT_RUN] = f"{len(waiting)} claims ({', '.join(waiting['study'].unique())})"
    return lines


def markdown(table: pd.DataFrame) -> str:
    """The ledger in short, as the README shows it."""
    names = {PHANTOM: "On phantoms", REAL: "On real images", NOT_RUN: "Not run yet"}
    lines = [f"**{names[kind]}**: {line}." for kind, line in counts(table).items()]
    lines = [
        "  \n".join(lines),
        "",
        *runs(table),
        "",
        "| claim | paper | its own numbers | ours | verdict |",
    ]
    lines.append("|---|---|---|---|---|")
    for row in table.itertuples():
        name = f"{row.claim}, real" if row.data == REAL else row.claim
        said = [f"**{name}** {row.statement}", row.paper_evidence, row.paper_numbers, _ours(row)]
        cells = [_cell(text) for text in said]
        verdict = row.verdict if row.verdict == NOT_RUN else f"**{row.verdict}**"
        lines.append(f"| {' | '.join(cells)} | {verdict} |")
    return "\n".join(lines)


def runs(table: pd.DataFrame) -> list[str]:
    """How each run was made, as a list in Markdown."""
    made = table.dropna(subset="data").drop_duplicates(["study", "data"])
    lines = []
    for row in made.itertuples():
        minutes = "" if pd.isna(row.minutes) else f", {row.minutes:.0f} min of training in all"
        seeds = "seed" if " " not in row.seeds else "seeds"
        how = f"{row.profile} profile, {seeds} {row.seeds}, {row.device}{minutes}"
        lines.append(f"- {row.study}, {row.data}: {how}: `{row.command}`")
    return lines


def _ours(row) -> str:
    """The number that decides, with its interval, n and p; else the evidence."""
    if pd.isna(row.mean):
        return row.evidence
    text = f"{row.measure}: {row.mean:.3g}"
    text += "" if pd.isna(row.sd) else f" (SD {row.sd:.2g})"
    text += "" if pd.isna(row.low) else f" [{row.low:.3g}, {row.high:.3g}]"
    return f"{text}, n = {row.n}" + ("" if pd.isna(row.p) else f", p = {row.p:.2g}")


def _cell(text: str) -> str:
    """A text that fits a Markdown table, cut between words where it is long."""
    if pd.isna(text):
        return ""
    short = text if len(text) <= SHOWN else text[:SHOWN].rsplit(" ", 1)[0].rstrip(",;:") + " …"
    return short.replace("|", "\\|")


def write() -> list[Path]:
    """Write ``figures/ledger.csv`` and the README's part; returns those that changed."""
    table = ledger()
    changed = write_changed(table, paths.FIGURES / "ledger.csv")
    return changed + write_part("ledger", markdown(table))


def main() -> int:
    """Write the ledger, tell what changed and count the verdicts; 0, or 2 with a message."""
    return run_command(write, lambda: "\n".join(f"{k}: {v}" for k, v in counts(ledger()).items()))


if __name__ == "__main__":
    sys.exit(main())
