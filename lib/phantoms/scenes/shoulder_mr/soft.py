"""Soft tissue of shoulder and chest, in the frames and at the size of ``scene``."""

import numpy as np
import torch

from lib.phantoms.shapes.canvas import Canvas
from lib.phantoms.shapes.geometry import Pose, transformed
from lib.phantoms.shapes.solids import (
    Points,
    Shape,
    common,
    cut,
    ellipsoid,
    grown,
    half_space,
    loft,
    tube,
    union,
)
from lib.phantoms.shapes.tissue import (
    Textures,
    paint_all,
    paint_loose,
    paint_muscle,
    paint_skin_and_fat,
)

MIDLINE = -180.0  # mm; where the chest's plane of symmetry lies
RIB_STEP_MM = 24.0

# fmt: off


def trunk_surface() -> Shape:
    return loft(
        "z", (-320, -160, -110, -70, -35, 0, 25, 45, 62, 80, 120),
        (-330, -330, -330, -330, -330, -330, -325, -310, -280, -246, -240),
        (-36, -34, -28, -16, 0, 8, 6, -12, -50, -112, -122),
        (-112, -112, -112, -110, -106, -102, -98, -92, -82, -70, -60),
        (128, 128, 124, 118, 110, 104, 98, 90, 76, 52, 40), square=0.55, ends=10,
    )


def scapula_surface() -> Shape:
    """Bulge of the back over the scapula, in its frame."""
    return ellipsoid((-46, -16, -8), (66, 40, 66), square=0.2)


def arm_surface() -> Shape:
    """In the frame of the arm."""
    return loft(
        "z", (-320, -160, -110, -70, -30, 0, 26, 44, 58),
        (-26, -29, -31, -34, -40, -44, -46, -46, -36), (46, 49, 50, 51, 52, 50, 45, 34, 14),
        (-38, -42, -45, -49, -53, -53, -50, -42, -26), (36, 40, 43, 47, 50, 48, 44, 36, 22),
        square=0.2, ends=10,
    )


def thorax() -> Shape:
    """Outer surface of the rib cage."""
    half = np.array((135, 132, 123, 110, 91, 70, 36))
    return loft(
        "z", (-320, -160, -100, -50, 0, 30, 50), MIDLINE - half, MIDLINE + half,
        (-86, -86, -80, -74, -65, -55, -42), (110, 110, 106, 98, 84, 66, 44), square=0.15, ends=8,
    )


def ribs(cage: Shape) -> Shape:
    """Bands in the wall of the chest that fall towards the front."""

    def distance(p: Points) -> torch.Tensor:
        level = p.z + 0.42 * p.y + 0.04 * (p.x - MIDLINE).abs()
        along = torch.remainder(level, RIB_STEP_MM) - RIB_STEP_MM / 2
        depth = cage.distance(p) + 4.0
        return torch.hypot(depth * 1.5, along) - 5.6

    return Shape(distance, cage.low, cage.high)


def vertebrae() -> Shape:
    body = loft("z", (-320, 120), MIDLINE - 18, MIDLINE + 18, -62, -32, square=0.2)
    lamina = tube([(-166, -64, -320), (-166, -64, 120)], 4, stretch=(1, 2, 1), pieces=1)
    spinous = tube([(-180, -90, -320), (-180, -90, 120)], 3, stretch=(1, 3, 1), pieces=1)
    return union(body, *lamina, *spinous, blend=2)


def scapular_muscles(thin: dict[str, float]) -> dict[str, Shape]:
    """In the frame of the scapula; ``thin`` holds each muscle's thickness as a share of normal."""
    sub, sup, inf = thin["subscapularis"], thin["supraspinatus"], thin["infraspinatus"]
    return {
        "subscapularis": union(
            ellipsoid((-56, 1 + 6 * sub, -22), (48, 17 * sub, 54), square=0.1),
            *tube([(-40, 5, -8), (-8, 17, -6), (14, 25, -4)], (12 * sub, 9 * sub, 4),
                  stretch=(1, 1, 2)), blend=8),
        "supraspinatus": union(*tube(
            [(-92, -9, 30), (-50, -17, 34), (-12, -10, 31), (16, 0, 29)],
            (7 * sup, 12 * sup, 9 * sup, 3.5), stretch=(1.18, 1.18, 1)), blend=4),
        "infraspinatus": union(
            ellipsoid((-56, -10 - 9 * inf, -28), (47, 13 * inf, 42), square=0.1),
            *tube([(-40, -20, -10), (-8, -27, 0), (20, -25, 6)], (13 * inf, 10 * inf, 4),
                  stretch=(1, 1, 1.5)), blend=8),
        "teres minor": union(*tube(
            [(-52, -14, -70), (-16, -22, -30), (18, -24, -16)], (7, 8, 4)), blend=2),
        "teres major": union(*tube(
            [(-74, -10, -104), (-40, -8, -78), (-2, 4, -62), (16, 14, -60)], (10, 13, 10, 5)),
            blend=3),
    }


def arm_muscles(deltoid: float) -> dict[str, Shape]:
    """In the frame of the arm; the deltoid's thickness as a share of normal."""
    out = 44 * deltoid
    return {
        "triceps": loft(
            "z", (-330, -120, -70, -40), (-14, -12, -8, -2), (30, 28, 20, 8), (-36, -36, -32, -24),
            (-8, -8, -12, -16), square=0.2),
        "biceps": loft(
            "z", (-330, -140, -90, -50), (-12, -10, -6, 0), (24, 22, 18, 10), (10, 12, 14, 16),
            (32, 34, 32, 24), square=0.2),
        "coracobrachialis": union(*tube(
            [(-24, 26, 4), (-16, 20, -40), (-4, 8, -100)], (4, 8, 6)), blend=2),
        "deltoid": loft(
            "z", (-120, -95, -60, -25, 5, 26, 38), (8, -4, -14, -18, -18, -14, -4),
            (26, 34, out - 1, out, out - 2, 36, 24), (-10, -24, -38, -44, -44, -38, -22),
            (12, 24, 36, 40, 40, 34, 18), square=0.2),
    }


def trunk_muscles() -> dict[str, Shape]:
    """In the frame of the trunk."""
    def band(path, radii, stretch):
        return union(*tube(path, radii, stretch=stretch, pieces=7), blend=3)

    return {
        "erector spinae": loft(
            "z", (-320, -50, 60), (-176, -176, -174), (-134, -138, -146), (-94, -90, -74),
            (-66, -62, -50), square=0.3),
        "rhomboids": band([(-172, -82, 0), (-140, -82, -22), (-112, -76, -44)], 5.5, (1, 1, 6)),
        "trapezius": band(
            [(-176, -92, -40), (-120, -90, -6), (-72, -74, 22), (-24, -44, 40)], (4, 5, 5, 4),
            (1, 1, 5)),
        "upper trapezius": band(
            [(-150, -52, 100), (-110, -50, 62), (-60, -36, 50), (-18, -12, 48)], (12, 14, 9, 4),
            (1, 1.9, 1)),
        "scalenes": band([(-150, 0, 110), (-138, 8, 62), (-124, 18, 36)], (14, 13, 9), (1, 1.5, 1)),
        "latissimus dorsi": band(
            [(-120, -92, -220), (-70, -72, -150), (-42, -44, -108), (-8, -2, -72)], (6, 8, 8, 4),
            (1, 1, 2.4)),
        "pectoralis minor": band(
            [(-20, 36, 16), (-56, 66, -16), (-98, 92, -60)], (4, 8, 6), (1, 1, 2.6)),
        "pectoralis major": band(
            [(-110, 96, -50), (-70, 84, -42), (-30, 58, -40), (8, 24, -52)], (9, 12, 12, 6),
            (1, 1, 3.8)),
        "clavicular pectoralis": band(
            [(-120, 80, 12), (-70, 66, 4), (-24, 44, -22), (6, 24, -50)], (8, 11, 10, 5),
            (1, 1, 2.2)),
        "subclavius": band([(-130, 46, 22), (-70, 14, 36), (-40, -2, 40)], 6, (1, 1.4, 1)),
        "levator scapulae": band(
            [(-150, -30, 110), (-118, -40, 62), (-100, -52, 34)], 7, (1, 1, 1)),
    }


def chest_muscles() -> dict[str, Shape]:
    """Sheets on the rib cage, in the frame of the trunk."""
    cage = thorax()

    def sheet(thickness, *planes):
        bounds = [half_space(point, normal) for point, normal in planes]
        shape = grown(cage, thickness)
        for bound in bounds:
            shape = common(shape, bound, blend=8)
        return shape

    return {
        "serratus anterior": sheet(
            9, ((-130, 0, 0), (-1, 0, 0)), ((0, 0, -20), (0, 0, 1)), ((0, 75, 0), (0, 1, 0))),
        "pectoralis major": sheet(
            14, ((0, 46, 0), (-0.3, -1, 0)), ((0, 0, 10), (0, 0, 1)),
            ((0, 0, -120), (0.3, 0, -1))),
        "latissimus dorsi": sheet(
            15, ((0, -4, 0), (0, 1, 0)), ((0, 0, -112), (0, 0.4, 1)), ((-150, 0, 0), (-1, 0, 0))),
    }


def vessels(arm: Pose) -> dict[str, tuple[str, list[Shape]]]:
    """In the frame of the trunk; ``a`` marks points that move with the arm."""
    a = arm.point
    return {
        "axillary artery": ("artery", tube(
            [(-120, 26, 44), (-70, 36, 26), (-38, 22, -20), a((-22, 2, -80)), a((-16, 0, -300))],
            2.4, pieces=9)),
        "axillary vein": ("vein", tube(
            [(-120, 40, 34), (-72, 46, 14), (-42, 26, -30), a((-25, -3, -90)), a((-20, -4, -300))],
            3.6, pieces=9)),
        "brachial plexus": ("nerve", tube(
            [(-130, 4, 60), (-72, 26, 32), (-36, 12, -20), a((-20, -7, -80)), a((-16, -8, -300))],
            3.0, stretch=(1, 1, 1.6), pieces=9)),
        "cephalic vein": ("vein", tube(
            [(-60, 74, 10), (-30, 60, 0), a((0, 40, -50)), a((6, 37, -200))], 1.8)),
        "circumflex vessels": ("vein", tube(
            [(-22, -2, -40), (-4, -26, -40), (20, -30, -38), (34, -10, -36)], 1.6)),
        "aorta": ("artery", tube([(-172, -22, -300), (-172, -20, -20), (-176, 6, 20)], 10)),
        "vena cava": ("vein", tube([(-160, 34, -300), (-162, 36, 0), (-170, 40, 60)], 8)),
        "trachea": ("air", tube([(-180, 0, -60), (-180, 2, 120)], 8)),
        "spinal cord": ("fluid", tube([(-180, -74, -320), (-180, -74, 120)], 8, pieces=1)),
    }


# fmt: on


def paint_soft_tissue(
    canvas: Canvas, trunk: Pose, joint, subject: dict, textures: Textures
) -> None:
    """Skin, fat, the chest with its lung, and the muscles of trunk, scapula and arm."""
    fat = subject["subcutaneous_mm"] + 1.2
    arm = trunk.after(joint.arm)
    outer = [
        transformed(trunk_surface(), trunk),
        transformed(arm_surface(), arm),
        transformed(scapula_surface(), trunk.after(joint.scapula)),
    ]
    within = union(*(grown(surface, -fat * trunk.scale) for surface in outer), blend=18)
    paint_skin_and_fat(canvas, union(*outer, blend=22), textures)
    paint_loose(canvas, within, textures, share=0.13)
    wasting, fatty = subject["wasting"], subject["muscle_fat"]
    thin = {"subscapularis": 0.62, "supraspinatus": 0.75, "infraspinatus": 0.68, "deltoid": 0.90}
    thin = {name: 1 - wasting * (1 - share) for name, share in thin.items()}
    for muscle in (chest_muscles() | trunk_muscles()).values():
        paint_muscle(canvas, transformed(muscle, trunk), within, textures, fatty * 0.6)
    for muscle in arm_muscles(thin["deltoid"]).values():
        paint_muscle(canvas, transformed(muscle, arm), within, textures, fatty)
    paint_bursa(canvas, trunk, joint)
    for muscle in scapular_muscles(thin).values():
        shape = transformed(muscle, trunk.after(joint.scapula))
        paint_muscle(canvas, shape, within, textures, fatty)
    paint_chest(canvas, trunk, textures)


def paint_bursa(canvas: Canvas, trunk: Pose, joint) -> None:
    """Fat between deltoid and rotator cuff, then the cuff's tendons around the humeral head."""
    pose = trunk.after(joint.scapula)
    for tissue, by in (("fat", 7.9), ("muscle", 7.0), ("ligament", 2.5)):
        canvas.fill(transformed(ellipsoid(joint.head, joint.radii + by), pose), tissue)


def paint_chest(canvas: Canvas, trunk: Pose, textures: Textures) -> None:
    """Wall of intercostal muscle, lung with vessels, mediastinum."""
    cage = transformed(thorax(), trunk)
    paint_muscle(canvas, cage, grown(cage, 5), textures, fatty=0.2)
    mediastinum = transformed(
        loft("z", (-320, -60, 60), MIDLINE - 42, MIDLINE + np.array((44, 34, 26)), -66, 88), trunk
    )
    paint_loose(canvas, mediastinum, textures, share=0.5)
    heart = transformed(ellipsoid((-178, 30, -130), (46, 48, 66)), trunk)
    paint_muscle(canvas, heart, cage, textures, fatty=0.0)
    lung = cut(grown(cage, -8.5 * trunk.scale), mediastinum, blend=6)
    box = canvas.box(lung, 1.5)
    if box is not None:
        inside = canvas.coverage(canvas.distance(lung, box))
        canvas.paint(box, inside, "lung", 1 + 0.2 * textures.wide[box])
        branches = (textures.lobes[box].abs() * -6 + 0.6).clamp(0, 1)
        canvas.paint(box, 0.35 * inside * branches, "vein")


def paint_sinews(canvas: Canvas, trunk: Pose, joint) -> None:
    """Vessels and the tendons that run to the humerus."""
    for tissue, pieces in vessels(joint.arm).values():
        paint_all(canvas, transformed(pieces, trunk), tissue)
    cuff = trunk.after(joint.scapula)
    x, y, _ = joint.head
    tendons = [
        tube([(x - 22, y + 22, -4), (x - 6, y + 26, -4), (x + 8, y + 22, -4)], 2.0, (1, 1, 5)),
        tube([(x - 14, y - 4, 28), (x + 4, y, 28), (x + 18, y, 18)], 2.0, (1, 3.5, 1)),
        tube([(x - 12, y - 26, 4), (x + 8, y - 26, 6), (x + 20, y - 18, 8)], 2.0, (1, 1, 5)),
    ]
    for pieces in tendons:
        paint_all(canvas, transformed(pieces, cuff), "tendon")
    long_head = tube([(17, 21, 8), (16, 22, -10), (14, 17, -60)], 2.2)
    paint_all(canvas, transformed(long_head, trunk.after(joint.humerus)), "tendon")
