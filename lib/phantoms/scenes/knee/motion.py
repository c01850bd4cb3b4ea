"""How the knee moves in the sagittal plane: condyles roll, the patella tracks, the tendon holds.

Femur coordinates throughout. The tibia is placed so that its plateau keeps one cartilage gap from
the condyles while the point of contact travels backwards on it, and the patella so that the tendon
keeps its length and the bone its gap from the trochlea. The rollback (one value for both condyles;
in life mostly the lateral one moves, Freeman and Pinskerova, J Biomech 2005;38:197) and the tilt of
the patella per degree of flexion are round values, the latter set by eye on drawn sweeps.
"""

from typing import NamedTuple

import numpy as np

from lib.phantoms.scenes.knee.bones import (
    Build,
    landmarks,
    patella_length_mm,
    patella_outline,
    rolling_curve,
    track,
)
from lib.phantoms.shapes.geometry import Pose, pose

CONTACT_MM, ROLLBACK_MM, ROLLBACK_DEG = 5.0, 13.0, 120.0  # of the plateau, forwards of its middle
PATELLA_SHARE, PATELLA_REST_DEG = 0.80, -1.0  # patellar flexion per degree of the knee's
TENDON_FORWARDS_DEG, TENDON_BACKWARDS_DEG, HALVINGS = 75.0, -75.0, 20


class Posture(NamedTuple):
    """Where tibia and patella are, as poses into femur coordinates, at one angle of flexion."""

    flexion_deg: float
    tibia: Pose
    patella: Pose
    tuberosity: np.ndarray  # 3, mm
    apex: np.ndarray
    top: np.ndarray
    contact: np.ndarray  # middle of the cartilage gap between femur and tibia
    contact_on_plateau_mm: float  # forwards of the plateau's middle


def posture(build: Build, flexion_deg: float) -> Posture:
    """Solve the joint for one angle between the femur's and the tibia's shaft."""
    marks = landmarks(build)
    tibia, contact, place_mm = _tibia(build, flexion_deg)
    tuberosity = tibia.point(marks.tuberosity)
    patella = _patella(build, flexion_deg, tibia, tuberosity)
    ends = (patella.point(point) for point in (marks.patella_apex, marks.patella_top))
    return Posture(flexion_deg, tibia, patella, tuberosity, *ends, contact, place_mm)


def _tibia(build: Build, flexion_deg: float) -> tuple[Pose, np.ndarray, float]:
    turn = pose(z_deg=-flexion_deg)
    lean = np.radians(build.slope_deg)
    up, ahead = np.array([-np.sin(lean), np.cos(lean)]), np.array([np.cos(lean), np.sin(lean)])
    condyle = rolling_curve(build) @ turn.matrix[:2, :2]  # in tibia directions
    lowest = condyle[np.argmin(condyle @ up)]
    backwards = ROLLBACK_MM * np.clip(flexion_deg / ROLLBACK_DEG, 0, 1.2)
    place_mm = (CONTACT_MM - backwards) * build.size
    touched = place_mm * ahead  # on the plateau; the femur hovers one gap above it
    origin = turn.matrix[:2, :2] @ (lowest - touched - build.gap_mm * up)
    middle = turn.matrix[:2, :2] @ (lowest - build.gap_mm / 2 * up)
    return Pose(turn.matrix, np.array([*origin, 0.0])), middle, place_mm


def _patella(build: Build, flexion_deg: float, tibia: Pose, tuberosity: np.ndarray) -> Pose:
    """Swing the patella on its tendon backwards until the gap to the trochlea closes."""
    marks, rail = landmarks(build), track(build)
    turn = pose(z_deg=-(PATELLA_REST_DEG + PATELLA_SHARE * flexion_deg)).matrix
    tendon_mm = build.insall_salvati * patella_length_mm(build)
    hang = (patella_outline(build) - marks.patella_apex) @ turn[:2, :2].T

    def apex(degrees: float) -> np.ndarray:
        swing = np.radians(degrees)
        way = tibia.direction([np.sin(swing), np.cos(swing), 0.0])
        return tuberosity + tendon_mm * way

    clear, touching = TENDON_FORWARDS_DEG, TENDON_BACKWARDS_DEG
    for _ in range(HALVINGS):
        middle = (clear + touching) / 2
        gap = distance_outside(hang + apex(middle)[:2], rail).min()
        clear, touching = (middle, touching) if gap > build.patella_gap_mm else (clear, middle)
    shift = apex(clear) - turn @ np.array([*marks.patella_apex, 0.0])
    return Pose(turn, shift)


def distance_outside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Distance in mm of N x 2 points to a closed polygon M x 2, negative inside; N values."""
    sides = np.roll(outline, -1, 0) - outline
    reach = points[:, None] - outline
    share = np.clip((reach * sides).sum(-1) / (sides**2).sum(-1), 0, 1)
    nearest = np.linalg.norm(reach - share[..., None] * sides, axis=-1).min(1)
    below, next_below = reach[..., 1] < 0, reach[..., 1] < sides[:, 1]
    rise = np.where(sides[:, 1] == 0, 1.0, sides[:, 1])
    left = reach[..., 0] < reach[..., 1] * sides[:, 0] / rise
    inside = ((below != next_below) & left).sum(1) % 2 == 1
    return np.where(inside, -nearest, nearest)
