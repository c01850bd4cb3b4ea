"""Fractures of a wrist: where bones are cut, how the fragments move, what a reader would box.

A fracture is a wavy surface through a bone. The part beyond it turns about the surface's middle by
the angulation, slides along the surface by the displacement and leaves it by the gap (negative:
impacted). Beyond a broken radius the whole hand goes along.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lib.phantoms.scenes.wrist.bones import ELLIPSOIDS, JOINT_Y, RADIUS_X, Build
from lib.phantoms.shapes.carve import Broken, Carved, Crack
from lib.phantoms.shapes.geometry import Ellipsoid, Pose, Union, pose, transformed

# Kinds and their shares of subjects
KINDS = (
    ("none", 0.05), ("radius", 0.44), ("radius and ulna", 0.26),
    ("ulna", 0.10), ("scaphoid", 0.15),
)  # fmt: skip
HAIRLINE = 0.22  # severity below which nothing moves
STILL = pose()


class Fracture(NamedTuple):
    """What happened to a subject; lengths in mm, angles in degrees."""

    kind: str
    displacement_mm: float
    angulation_deg: float
    gap_mm: float
    lean_rad: float  # where the far part leans: 0 to the back of the hand, pi / 2 to the thumb
    level_mm: float  # of the radius, below its joint
    ulna_level_mm: float  # of the ulna, below its head; below zero: its styloid
    share: float  # of the scaphoid's half-length, from the middle
    splits: bool  # into the joint of the radius as well

    def facts(self) -> dict:
        """Plain numbers for a case's truth."""
        names = ("displacement_mm", "angulation_deg", "gap_mm")
        return {"fracture": self.kind} | {name: float(getattr(self, name)) for name in names}

    @property
    def hairline(self) -> bool:
        return self.displacement_mm == 0


class Injured(NamedTuple):
    """Solids by name; cut solids by bone, to find the fracture in a view; where the hand went."""

    solids: dict[str, object]
    cracked: dict[str, list[Carved]]
    hand: Pose
    focus: np.ndarray  # middle of the main fracture, or of the wrist


def draw_fracture(place: float, rng: np.random.Generator) -> Fracture:
    """A fracture whose kind is at ``place`` (0-1) of the shares and whose severity is random."""
    ends = np.cumsum([share for _, share in KINDS])
    kind = KINDS[min(int(np.searchsorted(ends, place, side="right")), len(KINDS) - 1)][0]
    severity, scale = rng.uniform(), 0.25 if kind == "scaphoid" else 1.0
    shares = rng.uniform((0.3, 0.3, -1.0), (1.0, 1.0, 1.0))
    hairline = severity < HAIRLINE
    lean = rng.normal(0.25 if rng.uniform() < 0.8 else np.pi, 0.4)
    far = rng.uniform() < 0.15
    level = rng.uniform(34, 75) if far else rng.uniform(11, 30)
    alone, beside = rng.uniform(9, 60), float(np.clip(level + rng.normal(-3, 7), 9, 75))
    styloid = kind != "ulna" and not far and rng.uniform() < 0.6
    bend = 12 if far and kind == "radius" else 28  # a whole ulna lets the radius bend little
    fracture = Fracture(
        kind=kind,
        displacement_mm=0.0 if hairline else 9.0 * severity**2 * shares[0] * scale,
        angulation_deg=rng.uniform(0.3, 1.5) if hairline else bend * severity * shares[1],
        gap_mm=rng.uniform(0.25, 0.8) if hairline else _gap(severity, shares[2], kind),
        lean_rad=lean,
        level_mm=level,
        ulna_level_mm=-1.0 if styloid else alone if kind == "ulna" else beside,
        share=float(np.clip(rng.normal(-0.05, 0.2), -0.45, 0.4)),
        splits=bool(severity > 0.35 and rng.uniform() < 0.35 and not far),
    )
    return _unbroken(fracture) if kind == "none" else fracture


def _gap(severity: float, share: float, kind: str) -> float:
    if kind == "scaphoid":
        return 0.4 + 1.2 * severity * abs(share)
    return severity * (2.0 * share if share > 0 else 2.8 * share) + 0.2


def _unbroken(fracture: Fracture) -> Fracture:
    return fracture._replace(displacement_mm=0.0, angulation_deg=0.0, gap_mm=0.0, splits=False)


def break_bones(
    build: Build, whole: dict[str, object], fracture: Fracture, rng: np.random.Generator
) -> Injured:
    """Cut the subject's solids; ``whole`` has the ulna as (shaft, styloid).

    The hand's own solids stay where they are: the caller transforms them by ``hand``.
    """
    solids, cracked = dict(whole), {}
    solids["ulna"] = Union(whole["ulna"])
    hand, focus = STILL, np.array([0.0, JOINT_Y, 0.0]) * build.size
    if "ulna" in fracture.kind:
        solids["ulna"], cracked["ulna"], focus = _ulna(build, whole["ulna"], fracture, rng)
    if "radius" in fracture.kind:
        fragments, hand, focus = _radius(build, whole["radius"], fracture, rng)
        solids["radius"], cracked["radius"] = Broken(fragments), fragments
    if fracture.kind == "scaphoid":
        fragments, focus = _scaphoid(build, whole["scaphoid"], fracture, rng)
        solids["scaphoid"], cracked["scaphoid"] = Broken(fragments), fragments
    return Injured(solids, cracked, hand, focus)


def _crack(rng, point, axis, tilt_deg: float, rough_mm: float) -> Crack:
    """A surface across ``axis``, tilted at random, with six waves of 3-16 mm."""
    axis = np.array(axis, float) / np.linalg.norm(axis)
    u = np.cross(axis, [0.3, 0.1, 0.9])
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    turn, tilt = rng.uniform(0, 2 * np.pi), np.tan(np.radians(rng.normal(0, tilt_deg)))
    normal = axis + tilt * (np.cos(turn) * u + np.sin(turn) * v)
    normal /= np.linalg.norm(normal)
    u = np.cross(v, normal) / np.linalg.norm(np.cross(v, normal))
    v = np.cross(normal, u)
    spin, length = rng.uniform(0, 2 * np.pi, (2, 6)), 3 * (16 / 3) ** rng.uniform(size=6)
    rate = 2 * np.pi / length
    height = rough_mm * rng.uniform(0.3, 1.0, 6) * (length / 16) ** 0.7
    waves = np.stack([rate * np.cos(spin[0]), rate * np.sin(spin[0]), spin[1], height], 1)
    return Crack(np.array(point, float), normal, u, v, waves.tolist())


def _split(bone: Carved, crack: Crack) -> list[Carved]:
    """The parts on the near and on the far side of a crack."""
    return [replace(bone, sides=[*bone.sides, (crack, side)]) for side in (-1.0, 1.0)]


def _move(fracture: Fracture, crack: Crack, share: float = 1.0) -> Pose:
    """How the far part moves."""
    lean = np.array([np.sin(fracture.lean_rad), 0.0, np.cos(fracture.lean_rad)])
    slide = lean - crack.normal * (lean @ crack.normal)
    slide /= np.linalg.norm(slide)
    shift = share * fracture.displacement_mm * slide + fracture.gap_mm * crack.normal
    angle = share * fracture.angulation_deg
    return pose(x_deg=angle * lean[2], z_deg=-angle * lean[0], shift=shift, about=crack.point)


def _radius(build: Build, bone: Carved, fracture: Fracture, rng):
    middle = np.array([RADIUS_X - 0.2, JOINT_Y - fracture.level_mm, 0.0]) * build.size
    shaft = fracture.level_mm > 33
    crack = _crack(rng, middle, (0, 1, 0), 26 if shaft else 15, 0.6 if fracture.hairline else 1.3)
    near, far = _split(bone, crack)
    reach = np.array([60.0, fracture.level_mm + 32.0, 60.0]) * build.size
    far = replace(far, within=Ellipsoid(np.array([RADIUS_X, JOINT_Y + 10, 0]) * build.size, reach))
    move = _move(fracture, crack)
    if not fracture.splits:
        return [near, transformed(far, move)], move, crack.point
    point = np.array([rng.uniform(1, 11), JOINT_Y, 0]) * build.size
    split = _crack(rng, point, (1, 0, rng.normal(0, 0.4)), 12, 0.9)
    apart = rng.uniform(0.3, 1.5)
    parts = [
        transformed(transformed(part, pose(shift=side * apart / 2 * split.normal)), move)
        for part, side in zip(_split(far, split), (-1, 1), strict=True)
    ]
    return [near, *parts], move, crack.point


def _ulna(build: Build, parts: tuple[Carved, Carved], fracture: Fracture, rng):
    shaft, styloid = parts
    tilt, rough = (10, 0.3) if fracture.ulna_level_mm < 0 else (20, 1.0)
    if fracture.ulna_level_mm < 0:
        crack = _crack(rng, styloid.solid.point(rng.uniform(0.52, 0.7)), (0, 1, 0), tilt, rough)
        near, far = _split(styloid, crack)
        small = fracture._replace(
            displacement_mm=0.3 * fracture.displacement_mm, gap_mm=0.3 + 0.6 * abs(fracture.gap_mm)
        )
        far = transformed(far, _move(small, crack, 0.8))
        return Broken([Union([shaft, near]), far]), [near, far], crack.point
    end, axis = shaft.solid.end, shaft.solid.axis
    crack = _crack(rng, end - fracture.ulna_level_mm * build.size * axis, axis, tilt, rough)
    near, far = _split(shaft, crack)
    reach = np.array([60.0, fracture.ulna_level_mm + 25.0, 60.0]) * build.size
    far = replace(far, within=Ellipsoid(end, reach))
    move = _move(fracture, crack, 0.8)
    far, tip = transformed(far, move), transformed(styloid, move)
    return Broken([near, Union([far, tip])]), [near, far], crack.point


def _scaphoid(build: Build, bone: Carved, fracture: Fracture, rng):
    centre, radii, axis = (np.array(v, float) for v in ELLIPSOIDS["scaphoid"])
    axis /= np.linalg.norm(axis)
    point = (centre + fracture.share * radii[0] * axis) * build.size
    crack = _crack(rng, point, axis, 12, 0.5)
    near, far = _split(bone, crack)
    far = transformed(far, _move(fracture, crack))
    return [near, far], crack.point
