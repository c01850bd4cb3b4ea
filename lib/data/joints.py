"""Joints of the pediatric study: the bones of each, and what a table must say of its rows."""

import pandas as pd

from lib.data.problems import describe

JOINTS = {"ankle": ("calcaneus", "talus", "tibia"), "shoulder": ("humerus", "scapula")}
FACTS = ("joint", "pathology", "age_years")  # optional columns
HEALTHY = ("0", "healthy")


def joint_of(row: dict) -> str:
    """The joint that a row names, else the one of whose bones it has masks; "" for neither."""
    if row.get("joint"):
        return row["joint"]
    whole = (j for j, bones in JOINTS.items() if all(row.get(f"mask_{bone}") for bone in bones))
    return next(whole, "")


def joint_problems(place: str, row: dict) -> list[str]:
    """What is wrong with the optional columns of a row and with its masks, one line each."""
    problems, joint = [], row.get("joint", "")
    if joint and joint not in JOINTS:
        problems.append(describe(place, f"joint {joint}", " or ".join(JOINTS), "correct it"))
    for bone in JOINTS.get(joint, ()):
        if not row.get(f"mask_{bone}"):
            fix = "name a mask for every bone of the joint; an empty one where it is not seen"
            problems.append(describe(place, f"no mask_{bone}", f"the {joint}'s {bone}", fix))
    age = row.get("age_years", "")
    if age and not (pd.to_numeric(age, errors="coerce") >= 0):
        fix = "write a number, or leave it empty"
        problems.append(describe(place, f"age_years {age}", "years", fix))
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
