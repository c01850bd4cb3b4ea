"""Audit report: every inconsistency of the five papers, printed beside recomputed.

``python -m lib.app.report.audit`` writes ``figures/audit.csv``.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib.app.report.command import run_command, write_changed
from lib.base import paths
from lib.studies.hand import audit as hand
from lib.studies.humerus import audit as humerus
from lib.studies.knee import audit as knee
from lib.studies.knee.audit_scores import column_sums, scores
from lib.studies.pediatric import audit as pediatric
from lib.studies.pediatric.audit_slices import slice_tests
from lib.studies.pediatric.audit_tables import SMALLEST_P
from lib.studies.wrist import audit as wrist

COLUMNS = ["study", "what", "printed", "recomputed", "agrees"]
STATEMENT = "statement"  # the paper's words; any other ``what`` names a printed number
AUDITS = {"humerus": humerus, "wrist": wrist, "pediatric": pediatric, "knee": knee, "hand": hand}
OVER_ROUNDING = "rounding explains it"  # of the wrist audit: no inconsistency


def report() -> pd.DataFrame:
    """All statements that were checked, and every printed number that its own paper contradicts.

    Columns, all text but the last: study; what ("statement", or which number); printed (what the
    paper says or prints); recomputed (what its own tables give); agrees. Statements that hold are
    listed too, numbers only where they do not. Nothing is typed here: all comes from the audits.
    """
    rows = [
        (study, *row)
        for study, audit in AUDITS.items()
        for row in (*_statements(audit), *NUMBERS.get(study, tuple)())
    ]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"agrees": bool})


def write() -> list[Path]:
    """Write ``figures/audit.csv``; returns it if that changed it."""
    return write_changed(report(), paths.FIGURES / "audit.csv")


def _statements(audit) -> Iterator[tuple]:
    if audit is wrist:  # its findings are numbers
        return
    for row in audit.inconsistencies().itertuples():
        yield STATEMENT, row.statement, row.recomputed, row.holds


def _wrist() -> Iterator[tuple]:
    for row in wrist.inconsistencies().itertuples():
        agrees = row.comment.endswith(OVER_ROUNDING)
        yield row.item, row.printed, f"{row.recomputed}; {row.comment}", agrees
    rows = wrist.wrist_audit()
    for metric in ("accuracy", "f1"):
        for row in rows[rows[f"loses_{metric}"]].to_dict("records"):
            what = f"{metric} above calling every pixel a fracture, {row['row']}"
            yield what, f"{row[metric]:.4f}", f"{row[f'all_positive_{metric}']:.4f}", False


def _pediatric() -> Iterator[tuple]:
    for row in pediatric.gains().query("not agrees").itertuples():
        what = f"gain of CombReg multi Att-UNet, {row.dataset} {row.metric}"
        recomputed = f"{row.difference:+.1f}: {row.ours}, {row.rival} {row.best}"
        yield what, f"{row.printed:+.1f}", recomputed, False
    for row in pediatric.spreads().query("(place == 'lowest') == excepted").itertuples():
        said = "an exception" if row.excepted else "the lowest"
        recomputed = f"{row.place}: {row.ours}, the best other {row.lowest}"
        yield f"SD of CombReg multi Res-UNet, {row.dataset} {row.metric}", said, recomputed, False
    for row in slice_tests().query("significant and proposed_is != 'higher'").itertuples():
        what = f"{row.dataset} 2-D {row.metric}, {row.backbone} {row.strategy} {row.regularisation}"
        recomputed = f"the proposed mean is {row.proposed_is}: {row.proposed}, the other {row.mean}"
        p = f"p < {row.p:g}" if row.p == SMALLEST_P else f"p = {row.p:g}"
        yield what, f"significantly improved, {p}", recomputed, False


def _knee() -> Iterator[tuple]:
    lengths = knee.changes().query("metric in ('hd95', 'assd') and hundredfold")
    for row in lengths.itertuples():  # of fractions, 100 x the difference is percentage points
        what = f"improvement of the tendon, {row.network} {row.metric}"
        recomputed = f"{-row.percent:.2f} %: {row.ce1:.2f} to {row.ce2:.2f} px"
        yield what, f"{row.improvement:.2f} %", recomputed, False
    for row in scores().query("not agrees").itertuples():
        yield f"score, {row.structure} {row.method}", f"{row.printed}", f"{row.listed}", False
    for row in column_sums().query("missing != 0").itertuples():
        yield f"sum of the scores, {row.structure}", f"{row.printed}", f"{row.expected}", False


def _hand() -> Iterator[tuple]:
    for row in hand.deltas().query("not agrees").itertuples():
        what = f"change, {row.condition} {row.method} {row.metric}"
        recomputed = f"{row.recomputed:+.2f}: {row.full:.2f} to {row.mean:.2f}"
        yield what, f"{row.printed:+.2f}", recomputed, False
    for row in hand.always_negative().query("not above").itertuples():
        what = f"accuracy above calling every subject healthy, {row.condition} {row.method}"
        yield what, f"{row.accuracy:.2f}", f"{row.low:.2f} to {row.high:.2f}", False


NUMBERS = {"wrist": _wrist, "pediatric": _pediatric, "knee": _knee, "hand": _hand}


def main() -> int:
    """Write the report and say how much of it disagrees; exit code 0, or 2 with a message."""
    return run_command(write, _disagreements)


def _disagreements() -> str:
    table = report()
    numbers = table[~table["agrees"]].groupby("study", sort=False).size()
    listed = ", ".join(f"{study} {n}" for study, n in numbers.items())
    return f"{len(table)} rows; inconsistencies: {listed}"


if __name__ == "__main__":
    sys.exit(main())
