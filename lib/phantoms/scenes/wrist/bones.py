"""Bones of a left wrist in three dimensions: thumb to +x, fingers to +y, back of the hand to +z.

A carpal bone is an ellipsoid or a tube, carved by the joints it takes part in: a plane between two
bones takes half the joint space from either, and a bone that lies in a socket hollows its
neighbour by the whole of it. So joint spaces have an even width in any view. To add a bone, add a
line to ``CARPALS`` and to each table of joints.

Sizes of carpals and the radius: Schuind et al., J. Hand Surg. 17A (1992): radial inclination 23.8
(SD 2.6) degrees, ulnar variance -0.9 (1.5) mm; volar tilt 11 (4) degrees and scapholunate angle 47
(30-60) degrees after Gilula. The long bones of the hand are those of ``hand.shapes``.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lib.phantoms.scenes.hand.bones import direction
from lib.phantoms.scenes.hand.shapes import DIGITS, METACARPAL, PHALANX, PHALANX_WIDTH
from lib.phantoms.shapes.carve import Ball, Carved, Plane
from lib.phantoms.shapes.geometry import Ellipsoid, Pose, Union, pose
from lib.phantoms.shapes.tube import Tube

CARPALS = (
    "scaphoid", "lunate", "triquetrum", "pisiform", "trapezium", "trapezoid", "capitate", "hamate",
)  # fmt: skip
METACARPALS = ("M1", "M2", "M3", "M4", "M5")
HINGE = (0.4, -5.0, 0.0)  # head of the capitate: the hand turns about it

# Centre, half-axes, direction of the first half-axis; mm
ELLIPSOIDS = {
    "scaphoid": ((12.8, -7.6, -2.5), (13.6, 6.8, 7.2), (0.52, 0.72, -0.46)),
    "lunate": ((-3.0, -10.8, 0.0), (9.8, 9.6, 9.0), (1, 0, 0)),
    "triquetrum": ((-14.6, -9.4, 0.0), (7.4, 6.6, 7.4), (-0.8, 0.6, 0)),
    "pisiform": ((-15.0, -8.8, -10.2), (5.6, 4.6, 4.4), (0.1, 1, 0)),
    "trapezium": ((21.6, 6.6, -7.0), (7.6, 7.0, 7.4), (0.5, 0.85, 0)),
    "trapezoid": ((11.6, 8.2, 1.0), (7.4, 6.6, 8.5), (0, 1, 0)),
    "hamate": ((-11.6, 3.8, 0.0), (11.6, 8.6, 8.6), (-0.34, 0.94, 0)),
}
HOOK = ((-12.0, 5.6, -9.5), (5.6, 2.4, 4.0), (0, 0, 1))
# The capitate: y from -9.4 to 15; half-widths and half-depths
CAPITATE = (
    [(0, 6.0, 6.6), (0.15, 6.3, 7.2), (0.28, 6.0, 7.4), (0.45, 5.4, 7.6), (0.7, 6.1, 8.6)]
    + [(0.9, 6.6, 9.2), (1, 6.5, 9.2)]
)  # fmt: skip
CAPITATE_HEAD = ((0.4, -1.6, 0.0), (6.3, 7.8, 7.4))
# Faces of two bones: a point between them, the normal from the first to the second, and the radius
# of the first's rounded face (negative: the second's)
FACES = (
    ("lunate", "scaphoid", (3.9, -14.0, 0.0), (0.97, -0.22, 0.1), 30),
    ("triquetrum", "lunate", (-9.8, -13.0, 0.0), (0.92, -0.40, 0), -22),
    ("triquetrum", "hamate", (-12.6, -4.4, 0.0), (0.55, 0.83, 0), -17),
    ("hamate", "capitate", (-5.6, 3.0, 0.0), (1, 0.03, 0), 30),
    ("lunate", "hamate", (-7.6, -8.4, 0.0), (-0.35, 0.94, 0), -14),
    ("capitate", "trapezoid", (6.4, 8.0, 0.0), (0.99, -0.10, 0), -30),
    ("trapezoid", "trapezium", (16.4, 8.0, -2.0), (0.94, -0.10, -0.32), -24),
    ("trapezoid", "M2", (11.6, 15.0, 0.0), (-0.10, 1, 0), 22),
    ("capitate", "M3", (0.6, 15.4, 0.0), (0.18, 1, 0), 40),
    ("hamate", "M4", (-8.0, 14.0, 0.0), (-0.06, 1, 0), 34),
    ("hamate", "M5", (-14.4, 12.2, -2.0), (-0.38, 0.92, 0), 26),
    ("trapezium", "M1", (24.2, 11.6, -8.0), (0.55, 0.80, -0.15), 40),
)
# The second bone lies in a hollow of the first
SOCKETS = (
    ("lunate", "capitate"), ("scaphoid", "capitate"), ("trapezium", "scaphoid"),
    ("trapezoid", "scaphoid"), ("radius", "scaphoid"), ("radius", "lunate"),
)  # fmt: skip

# y in mm; half-widths to the right, left, front, back
RADIUS = (
    [(-235, 6.6, 6.6, 6.2, 6.2), (-120, 7.0, 6.6, 6.2, 6.2), (-75, 7.2, 7.0, 6.4, 6.6)]
    + [(-55, 8.0, 8.4, 6.8, 7.2), (-40, 10.2, 10.8, 8.2, 9.0), (-31, 12.6, 13.2, 9.8, 9.8)]
    + [(-24, 14.6, 14.6, 10.8, 10.0), (-17, 15.4, 14.6, 10.8, 9.8), (-12, 14.8, 14.2, 9.6, 8.6)]
    + [(-9, 13.0, 14.0, 8.4, 7.4), (-5, 6.0, 10.0, 4.0, 4.0)]
)
ULNA = (
    [(-235, 6.4, 6.4, 6.4, 6.4), (-120, 6.0, 6.0, 6.0, 6.0), (-60, 5.4, 5.4, 5.6, 5.6)]
    + [(-42, 5.6, 5.6, 5.6, 5.6), (-31, 7.6, 7.2, 7.0, 7.0), (-25, 8.4, 7.8, 7.8, 7.8)]
    + [(-21.5, 8.2, 7.6, 7.6, 7.6)]
)
RADIUS_X, ULNA_X, JOINT_Y = 6.8, -17.4, -20.2


class Build(NamedTuple):
    """One subject's wrist, and how it is held."""

    size: float
    breadth: float  # of long bones relative to their length
    flesh: float
    gap_mm: float  # width of the wrist's joint spaces
    inclination_deg: float  # of the radius towards the ulna
    tilt_deg: float  # of the radius towards the palm
    variance_mm: float  # of the ulna beyond the radius
    styloid_mm: float  # length of the ulnar styloid
    cortical_index: float  # both cortices of the shafts over their width
    density: float  # bone volume fraction of the metaphyses
    grain: float
    jitter: np.ndarray  # 200 standard normal numbers for the small differences of every bone
    deviation_deg: float = 0.0  # of the hand, positive towards the thumb
    flexion_deg: float = 0.0  # of the hand, positive towards the palm
    thumb_deg: float = 0.0
    curl_deg: float = 0.0  # of the fingers

    @property
    def hand(self) -> Pose:
        """Turns the hand on the forearm."""
        about = np.array(HINGE) * self.size
        return pose(x_deg=-self.flexion_deg, z_deg=-self.deviation_deg, about=about)

    @property
    def wall_mm(self) -> float:
        """Cortex of the carpals."""
        return 0.35 + 0.6 * self.cortical_index


def _ellipsoid(centre, radii, along, build: Build, grow=1.0) -> Ellipsoid:
    """First half-axis along ``along``, the second in the view's plane where it can be."""
    first = np.array(along, float) / np.linalg.norm(along)
    second = np.cross([0, 0, 1.0], first) if abs(first[2]) < 0.9 else np.array([1.0, 0, 0])
    second /= np.linalg.norm(second)
    axes = np.stack([first, second, np.cross(first, second)], 1)
    radii = np.array(radii, float) * build.size * grow
    return Ellipsoid(np.array(centre) * build.size, radii, axes, cortex=build.wall_mm)


def bodies(build: Build) -> dict[str, Ellipsoid]:
    """The carpals before carving, and the head of the capitate: what lies in sockets."""
    noise = build.jitter[:32].reshape(8, 4)
    solids = {}
    for (name, (centre, radii, along)), shift in zip(ELLIPSOIDS.items(), noise, strict=False):
        place = np.array(centre) + 0.35 * shift[:3]
        solids[name] = _ellipsoid(place, radii, along, build, 1 + 0.015 * shift[3])
    solids["capitate"] = _ellipsoid(*CAPITATE_HEAD, (1, 0, 0), build)
    return solids


def carve(name: str, solid, build: Build, inner: dict[str, Ellipsoid], within=None) -> Carved:
    """A solid with the joint surfaces of the bone of that name."""
    keep, cut = [], []
    for first, second, point, normal, rounding in FACES:
        if name in (first, second):
            unit = np.array(normal) / np.linalg.norm(normal)
            radius_mm = rounding * build.size
            centre = np.array(point) * build.size - radius_mm * unit
            convex = (name == first) == (rounding > 0)
            reach = abs(radius_mm) + (-0.5 if convex else 0.5) * build.gap_mm
            (keep if convex else cut).append(Ball(centre, reach))
    for host, guest in SOCKETS:
        if host == name:
            cut.append(replace(inner[guest], radii=inner[guest].radii + build.gap_mm))
    return Carved(solid, keep, cut, build.wall_mm, within=within)


def carpals(build: Build) -> dict[str, object]:
    """The eight carpals as solids."""
    inner, size = bodies(build), build.size
    start, end = np.array([0.4, -9.4, 0]) * size, np.array([0.8, 17.0, 0.5]) * size
    profile = [(t, size * w, size * d) for t, w, d in CAPITATE]
    wall = [(0, build.wall_mm), (1, build.wall_mm)]
    whole = inner | {"capitate": Tube(start, end, profile, wall, caps=(5.6 * size, 1.0))}
    solids = {name: carve(name, whole[name], build, inner) for name in CARPALS}
    solids["hamate"] = Union([solids["hamate"], _ellipsoid(*HOOK, build)])
    return solids


def _long_bone(rows, build: Build, start, end, index: float, spongy, **shape) -> Tube:
    """Rows over y in mm; the wall at the proximal end is ``index`` times the half-width."""
    y = np.array([row[0] for row in rows], float)
    t = (y - y[0]) / (y[-1] - y[0])
    thick = build.size * build.breadth
    profile = [(s, *(thick * w for w in row[1:])) for s, row in zip(t, rows, strict=True)]
    wall = index * profile[0][1]
    thin = build.wall_mm
    depths = ((-235, wall), (-90, wall), (-60, 0.75 * wall), (-42, 0.4 * wall + 0.3), (-28, thin))
    cortex = [((d - y[0]) / (y[-1] - y[0]), w) for d, w in depths] + [(1, thin)]
    dense = [((d - y[0]) / (y[-1] - y[0]), w) for d, w in spongy]
    return Tube(start, end, profile, cortex, dense, **shape)


SPONGY = ((-235, 0.04), (-70, 0.06), (-48, 0.45), (-36, 0.8), (-24, 1.0))


def radius(build: Build, inner: dict[str, Ellipsoid]) -> Carved:
    """The radius: flare, inclined and tilted joint surface, styloid, two fossae, sigmoid notch."""
    size, noise = build.size, build.jitter[40:50]
    end = np.array([RADIUS_X, RADIUS[-1][0], 0]) * size
    start = np.array([RADIUS_X + noise[0] - 1, RADIUS[0][0], 0.5 * noise[1]]) * size
    spongy = (*SPONGY, (-19, 1.5), (-5, 1.5))
    bow = (size * (3.0 + noise[2]), 0.8 * size)
    shaft = _long_bone(RADIUS, build, start, end, build.cortical_index, spongy, bow=bow)
    lean, tilt = np.radians([build.inclination_deg, build.tilt_deg])
    normal = np.array([-np.tan(lean), 1.0, -np.tan(tilt)])
    joint = Plane(np.array([-0.4, JOINT_Y, 0.0]) * size, normal)
    bone = carve("radius", shaft, build, inner)
    head = Ellipsoid(np.array([ULNA_X, -27.0, 1.5]) * size, np.array([9.8, 9.0, 9.8]) * size)
    return replace(bone, keep=[joint], cut=[*bone.cut, head], cortex=build.wall_mm + 0.35)


def ulna(build: Build) -> tuple[Carved, Carved]:
    """Shaft with head, and styloid."""
    size, noise = build.size, build.jitter[50:60]
    top = ULNA[-1][0] + build.variance_mm
    end = np.array([ULNA_X, top, 2.5]) * size
    start = np.array([ULNA_X + 3.0 + noise[0], ULNA[0][0], -12.0 + 3 * noise[3]]) * size
    shaft = _long_bone(
        ULNA, build, start, end, 0.92 * build.cortical_index, (*SPONGY, (-21.5, 1.1)),
        caps=(3, 3.8 * size), slope=(0, 0.1), notch=(0, 0.3), bow=(-1.0 * size, 0),
    )  # fmt: skip
    root = end + np.array([-5.0, -5.0, -1.0 + noise[1]]) * size
    tip = root + np.array([-0.8 + 0.4 * noise[2], 5.0 + build.styloid_mm, -0.6]) * size
    rows = [(0, 2.8 * size, 3.0 * size), (0.6, 2.3 * size, 2.5 * size), (1, 1.9 * size, 2 * size)]
    wall = [(0, build.wall_mm), (1, build.wall_mm)]
    return Carved(shaft), Carved(Tube(root, tip, rows, wall, caps=(1, 2.2 * size)))


def digits(build: Build) -> tuple[dict[str, object], dict[str, Tube]]:
    """Metacarpals with carved bases, and the first phalanges, by name; all as bare tubes too."""
    carved, tubes = {}, {}
    for number, digit in enumerate(DIGITS):
        noise = build.jitter[60 + 10 * number : 70 + 10 * number]
        thumb, size = number == 0, build.size
        name = METACARPALS[number]
        angle = digit.angle_deg + 1.2 * noise[0] + (build.thumb_deg if thumb else 0.0)
        sink = (22.0 if thumb else 2.0) + 0.4 * build.curl_deg
        half = digit.half_width_mm * size * build.breadth * (1 + 0.03 * noise[1])
        start = np.array(digit.base) * size - 3.0 * size * direction(angle, sink)
        length = (digit.metacarpal_mm + 3.0) * size * (1 + 0.02 * noise[2])
        end = start + length * direction(angle, sink)
        tubes[name] = _digit_bone(build, start, end, METACARPAL, half, (0.6, 1.45 * half), 1.0)
        carved[name] = carve(name, tubes[name], build, {})
        for joint, phalanx_mm in enumerate(digit.phalanges_mm[:2]):
            sink += build.curl_deg * (0.3 if thumb else 1.0)
            kind = 2 if thumb and joint else joint
            start = end + 1.6 * direction(angle, sink)
            end = start + phalanx_mm * size * direction(angle, sink)
            wide = half * PHALANX_WIDTH[kind]
            tube = _digit_bone(build, start, end, PHALANX[kind], wide, (1.6, 2.4), 0.9)
            tubes[f"P{number + 1}{joint + 1}"] = tube
    return carved, tubes


def _digit_bone(build: Build, start, end, rows, half: float, caps, share: float) -> Tube:
    wall, thin = share * build.cortical_index * half, build.wall_mm
    cortex = [(0, thin), (0.1, thin), (0.3, 0.75 * wall + 0.1), (0.5, wall), (0.66, 0.8 * wall)]
    cortex += [(0.86, thin), (1, thin)]
    spongy = [(0, 1.1), (0.1, 1.0), (0.28, 0.35), (0.45, 0.08), (0.6, 0.1), (0.8, 0.6), (1, 1)]
    profile = [(row[0], *(half * w for w in row[1:])) for row in rows]
    return Tube(start, end, profile, cortex, spongy, caps=caps, bow=(0, 0.8))
