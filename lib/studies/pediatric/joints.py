"""Joints of the pediatric study: the bones of each, and what a table must say of its rows."""

from pathlib import Path

import pandas as pd

from lib.data.cases import STRUCTURE
from lib.data.problems import describe

JOINTS = {"ankle": ("calcaneus", "talus", "tibia"), "shoulder": ("humerus", "scapula")}
HEALTHY = ("0", "healthy")


def joint_of(row: dict) -> str:
    """The joint that a row names, else the one of whose bones it has masks; "" for neither."""
    if row.get("joint"):
        return row["joint"]
    whole = (j for j, bones in JOINTS.items() if all(row.get(STRUCTURE + bone) for bone in bones))
    return next(whole, "")


def joint_problems(folder: Path, cases: pd.DataFrame) -> list[str]:
    """Rows that name an unknown joint, and rows without a mask of each of their joint's bones."""
    problems = []
    for case in cases.to_dict("records"):
        joint = case.get("joint", "")
        place = f"{folder / 'cases.csv'}, case {case['case']}"
        if joint and joint not in JOINTS:
            problems.append(describe(place, f"joint {joint}", " or ".join(JOINTS), "correct it"))
        for bone in JOINTS.get(joint, ()):
            if not case.get(STRUCTURE + bone):
                fix = "name a mask for every bone of the joint; an empty one where it is not seen"
                expected = f"the {joint}'s {bone}"
                problems.append(describe(place, f"no {STRUCTURE}{bone}", expected, fix))
    return problems


def pathological(value: str) -> float:
    """1 for a pathological examination, 0 for a healthy one, NaN where the table says nothing."""
    return float("nan") if value == "" else float(value.lower() not in HEALTHY)


def of_joint(cases: pd.DataFrame, joint: str) -> pd.DataFrame:
    """The joint's rows with pathology (0, 1, NaN) and age_years (or NaN), sorted by subject.

    Numbers within a name count as numbers: A_H,2 stands before A_H,10.
    """
    names = [joint_of(row) == joint for row in cases.to_dict("records")]
    chosen = cases[pd.Series(names, cases.index, bool)]
    blank = pd.Series("", chosen.index)
    pathology = chosen.get("pathology", blank).map(pathological).astype(float)
    age = pd.to_numeric(chosen.get("age_years", blank), errors="coerce")
    chosen = chosen.assign(pathology=pathology, age_years=age)
    order = sorted(range(len(chosen)), key=lambda n: _natural(chosen.iloc[n]))
    return chosen.iloc[order].reset_index(drop=True)


def _natural(row: pd.Series) -> tuple:
    parts = pd.Series([row["subject"], row["case"]]).str.findall(r"\d+|\D+")
    return tuple(tuple((p.isdigit(), int(p) if p.isdigit() else 0, p) for p in n) for n in parts)
