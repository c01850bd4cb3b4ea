"""Claims of a paper beside our evidence: one verdict a claim, none left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from lib.base.errors import SettingError
from lib.base.paths import REFERENCE

VERDICTS = ("reproduced", "contradicted", "inconclusive", "not testable")
NAN = float("nan")


class Estimate(NamedTuple):
    """The measured number that a claim hangs on, of several the one that decides.

    Attributes:
        measure: what it is, such as "dice, dice_boundary minus dice".
        mean, low, high: estimate and its 95 % interval.
        sd: over the n independent units; NaN where they give no spread.
        test: behind the adjusted p; empty without one.
    """

    measure: str = ""
    mean: float = NAN
    sd: float = NAN
    low: float = NAN
    high: float = NAN
    test: str = ""


@dataclass(frozen=True)
class Verdict:
    """Our finding on one claim.

    ``verdict`` is one of VERDICTS, ``evidence`` the sentence behind it, ``n`` the number of
    independent units (images, subjects) it rests on, ``p`` the adjusted p-value where a test was
    made, ``estimate`` the number that decides. Raises SettingError for an unknown verdict, missing
    evidence or an impossible number.
    """

    verdict: str
    evidence: str
    n: int
    p: float | None = None
    estimate: Estimate = Estimate()

    def __post_init__(self):
        if self.verdict not in VERDICTS:
            raise _error(
                "verdict", repr(self.verdict), f"one of {', '.join(VERDICTS)}", "choose one"
            )
        if not self.evidence.strip():
            raise _error("evidence", "no text", "the finding in one sentence", "say what was found")
        if self.n < 0:
            raise _error("n", self.n, "a count of cases", "give the number of independent cases")
        if self.p is not None and not 0 <= self.p <= 1:
            raise _error("p", self.p, "a value from 0 to 1 or None", "leave it out without a test")


def claims_of(study: str) -> pd.DataFrame:
    """The paper's claims in its order: claim, statement, paper_evidence, paper_numbers.

    Raises SettingError for an unknown study.
    """
    path = REFERENCE / "claims_all.csv"
    claims = pd.read_csv(path)
    if study not in set(claims["study"]):
        studies = _names(set(claims["study"]))
        raise _error("study", repr(study), f"one of {studies}", f"correct it or extend {path.name}")
    names = {"claim_id": "claim", "verdict_from_paper_numbers": "paper_numbers"}
    claims = claims[claims["study"] == study].rename(columns=names).reset_index(drop=True)
    return claims[["claim", "statement", "paper_evidence", "paper_numbers"]]


def claims_table(study: str, ours: dict[str, Verdict]) -> pd.DataFrame:
    """The claims of ``study`` in the paper's order, each with its numbers and our verdict.

    ``ours`` maps claim id -> Verdict. Columns: claim, statement, paper_evidence, paper_numbers
    (the verdict from the paper's own arithmetic), verdict, evidence, n, p (NaN without a test), and
    the fields of ``Estimate``.
    Raises SettingError if the study is unknown, a claim has no verdict or an id does not exist.
    """
    claims = claims_of(study)
    known, given = set(claims["claim"]), set(ours)
    if known - given:
        raise _error(study, f"no verdict for {_names(known - given)}", "one a claim", "add them")
    if given - known:
        fix = "correct the id, or add the claim to claims_all.csv"
        raise _error(study, f"verdicts for {_names(given - known)}", _names(known), fix)
    rows = [ours[claim] for claim in claims["claim"]]
    estimates = pd.DataFrame([ours[claim].estimate for claim in claims["claim"]])
    return claims.assign(
        verdict=[row.verdict for row in rows],
        evidence=[row.evidence for row in rows],
        n=[row.n for row in rows],
        p=pd.array([row.p for row in rows], dtype="Float64").to_numpy(float, na_value=NAN),
        **estimates,
    )


def verdict_from_interval(low, high, expected_sign: int) -> str:
    """Verdict on "the difference is positive" (``expected_sign`` +1) or negative (-1).

    ``low`` and ``high`` bound the measured difference. "reproduced": the whole interval lies on the
    claimed side of zero; "contradicted": on the other; otherwise, and for an interval with a NaN,
    "inconclusive". Raises SettingError for another sign or low > high.
    """
    if expected_sign not in (-1, 1):
        raise _error("expected_sign", expected_sign, "+1 or -1", "give the claimed direction")
    if low > high:
        raise _error("interval", f"low {low} > high {high}", "low <= high", "swap the bounds")
    bounds = (expected_sign * low, expected_sign * high)
    if all(bound > 0 for bound in bounds):
        return "reproduced"
    return "contradicted" if all(bound < 0 for bound in bounds) else "inconclusive"


def verdict_of_all(verdicts: Iterable[str]) -> str:
    """A claim of several parts holds if all do, fails if one does, and is open otherwise."""
    found = set(verdicts)
    if "contradicted" in found:
        return "contradicted"
    return "reproduced" if found == {"reproduced"} else "inconclusive"


def deciding(parts: pd.DataFrame) -> pd.Series:
    """The row that a claim of several parts hangs on, of a table with verdict and adjusted p.

    Of the parts with the claim's own verdict: where it fails the one that contradicts most surely,
    else the weakest, as all must hold. Without p (NaN) the first of them.
    """
    verdict = verdict_of_all(parts["verdict"])
    chosen = parts[parts["verdict"] == verdict]
    p = chosen["p"].dropna()
    if p.empty:
        return chosen.iloc[0]
    return chosen.loc[p.idxmin() if verdict == "contradicted" else p.idxmax()]


def estimate_of(row: pd.Series, measure: str) -> Estimate:
    """What ``lib.evidence.statistics.paired_test`` found, under a name."""
    numbers = (float(row[name]) for name in ("mean_difference", "sd", "low", "high"))
    return Estimate(measure, *numbers, str(row["test"]))


def _names(ids):
    return ", ".join(sorted(ids))


def _error(what, found, expected, fix):
    return SettingError(f"{what}: found {found}; expected {expected}. Fix: {fix}.")
