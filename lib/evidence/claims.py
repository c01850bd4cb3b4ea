"""Claims of a paper beside our evidence: one verdict per claim, none left out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from lib.base.errors import SettingError
from lib.base.paths import REFERENCE

VERDICTS = ("reproduced", "contradicted", "inconclusive", "not testable")
NAN = float("nan")


class Estimate(NamedTuple):
    """The measured number that decides a claim.

    Attributes:
        measure: what it is, such as "dice, dice_boundary minus dice".
        mean, low, high: estimate and its 95 % interval.
        sd: over the n independent units; NaN where they give no spread.
        test: behind the adjusted p; empty without one.

    >>> Estimate("dice, boundary minus plain", mean=0.03, low=0.01, high=0.05).high
    0.05
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

    >>> Verdict("reproduced", "Boundary beats plain by 0.03 Dice.", n=24, p=0.01).estimate.test
    ''
    """

    verdict: str
    evidence: str
    n: int
    p: float | None = None
    estimate: Estimate = Estimate()

    def __post_init__(self) -> None:
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

    >>> claims_of("humerus").columns.tolist()
    ['claim', 'statement', 'paper_evidence', 'paper_numbers']
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

    >>> later = Verdict("inconclusive", "Not trained yet.", n=0)
    >>> table = claims_table("humerus", dict.fromkeys(claims_of("humerus")["claim"], later))
    >>> table["verdict"].unique().tolist()
    ['inconclusive']
    """
    claims = claims_of(study)
    known, given = set(claims["claim"]), set(ours)
    if known - given:
        raise _error(study, f"no verdict for {_names(known - given)}", "one per claim", "add them")
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
        **{name: estimates[name] for name in Estimate._fields},
    )


def verdict_from_interval(low: float, high: float, expected_sign: int) -> str:
    """Verdict on "the difference is positive" (``expected_sign`` +1) or negative (-1).

    ``low`` and ``high`` bound the measured difference. "reproduced": the whole interval lies on the
    claimed side of zero; "contradicted": on the other; otherwise, and for an interval with a NaN,
    "inconclusive". Raises SettingError for another sign or low > high.

    >>> verdict_from_interval(0.01, 0.05, +1), verdict_from_interval(-0.01, 0.05, +1)
    ('reproduced', 'inconclusive')
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
    """A claim of several parts holds if all hold, fails if one fails, and is open otherwise.

    >>> verdict_of_all(["reproduced", "inconclusive"])
    'inconclusive'
    """
    different = set(verdicts)
    if "contradicted" in different:
        return "contradicted"
    return "reproduced" if different == {"reproduced"} else "inconclusive"


def deciding(parts: pd.DataFrame) -> pd.Series:
    """The row that decides a claim of several parts, of a table with verdict and adjusted p.

    Of the parts with the claim's own verdict: where it fails the one with the smallest p, else the
    one with the largest, as all must hold. Without p (NaN) the first of them.

    >>> row = deciding(pd.DataFrame({"verdict": ["reproduced"] * 2, "p": [0.01, 0.04]}))
    >>> float(row["p"])
    0.04
    """
    verdict = verdict_of_all(parts["verdict"])
    chosen = parts[parts["verdict"] == verdict]
    tested = chosen.dropna(subset="p")
    if tested.empty:
        return chosen.iloc[0]
    p = tested["p"]
    return tested.iloc[p.argmin() if verdict == "contradicted" else p.argmax()]


def estimate_of(row: pd.Series, measure: str) -> Estimate:
    """The result of ``lib.evidence.statistics.paired_test`` under a name.

    >>> row = {"mean_difference": 0.1, "sd": 0.2, "low": 0.0, "high": 0.2, "test": "Wilcoxon"}
    >>> estimate_of(pd.Series(row), "dice").mean
    0.1
    """
    mean, sd, low, high = (float(row[name]) for name in ("mean_difference", "sd", "low", "high"))
    return Estimate(measure, mean, sd, low, high, str(row["test"]))


def _names(ids: Iterable[str]) -> str:
    return ", ".join(sorted(ids))


def _error(what: str, given: object, expected: str, fix: str) -> SettingError:
    return SettingError(f"{what}: found {given}; expected {expected}. Fix: {fix}.")
