"""Soft tissue of the ankle, in the frames and at the size of ``scene``."""

import numpy as np

from lib.phantoms.shapes.canvas import Canvas
from lib.phantoms.shapes.geometry import Pose, transformed
from lib.phantoms.shapes.solids import Shape, ellipsoid, grown, loft, rod, tube, union
from lib.phantoms.shapes.tissue import (
    Textures,
    paint_all,
    paint_loose,
    paint_muscle,
    paint_skin_and_fat,
)

# fmt: off


def leg_surface() -> Shape:
    return loft(
        "z", (-20, 0, 20, 40, 70, 110, 150, 220),
        (-31, -33, -32, -31, -33, -39, -46, -52), (30, 32, 33, 33, 36, 42, 48, 52),
        (-52, -52, -53, -55, -60, -70, -80, -88), (27, 31, 33, 34, 37, 42, 46, 50), ends=10,
    )


def foot_surface() -> Shape:
    sole = loft(
        "y", (-40, -20, 0, 20, 40, 60, 80, 110, 150),
        (-30, -34, -36, -38, -40, -43, -45, -46, -46), (32, 34, 35, 37, 40, 42, 44, 46, 46),
        (-68, -68, -65, -62, -58, -54, -52, -50, -48), (0, 6, 12, 22, 24, 19, 13, 3, -10),
        square=0.45, ends=14,
    )
    return union(ellipsoid((0, -36, -38), (32, 33, 34), square=0.3), sole, blend=16)


def leg_muscles() -> dict[str, Shape]:
    return {
        "soleus": loft(
            "z", (52, 65, 90, 120, 150, 230), (-5, -15, -26, -32, -36, -40),
            (6, 16, 26, 32, 36, 40), (-49, -52, -57, -62, -68, -76),
            (-43, -36, -29, -26, -25, -25), ends=8),
        "flexor hallucis longus": loft(
            "z", (0, 12, 30, 60, 110, 220), (-5, -7, -7, -7, -8, -9), (6, 12, 16, 18, 18, 16),
            (-31, -36, -38, -37, -33, -30), (-23, -20, -17, -15, -14, -14), square=0.3, ends=7),
        "tibialis posterior": loft(
            "z", (28, 45, 80, 130, 220), (-17, -18, -19, -20, -22), (-9, -3, 0, 2, 3),
            (-27, -29, -31, -31, -31), (-19, -16, -13, -12, -12), ends=6),
        "peroneus brevis": loft(
            "z", (8, 25, 50, 100, 220), (18, 17, 17, 18, 18), (25, 28, 31, 34, 38),
            (-25, -29, -31, -32, -34), (-18, -15, -13, -12, -11), ends=6),
        "extensor digitorum longus": loft(
            "z", (30, 50, 80, 130, 220), (4, 3, 3, 2, 0), (12, 18, 24, 30, 34),
            (17, 12, 4, -2, -4), (25, 27, 29, 33, 38), ends=6),
        "tibialis anterior": loft(
            "z", (75, 95, 130, 220), (-6, -8, -8, -8), (2, 6, 10, 12), (17, 16, 15, 14),
            (25, 29, 34, 42), ends=6),
    }


def foot_muscles() -> dict[str, list[Shape]]:
    return {
        "abductor hallucis": tube(
            [(-16, -38, -49), (-24, -8, -42), (-29, 30, -34), (-28, 80, -30)], (5, 9, 8, 5)),
        "flexor digitorum brevis": tube(
            [(-2, -36, -58), (-2, 0, -52), (0, 40, -46), (2, 85, -42)], (3, 6, 6, 4),
            stretch=(1.9, 1, 1)),
        "abductor digiti minimi": tube(
            [(10, -38, -54), (20, -5, -52), (29, 40, -48), (32, 80, -44)], (4, 7, 6, 4)),
        "quadratus plantae": tube(
            [(-5, -22, -48), (-5, 10, -44), (-2, 40, -39)], (4, 6, 4), stretch=(1.6, 1, 1)),
        "interossei": tube([(4, 70, -18), (6, 130, -28)], 8, stretch=(2.4, 1, 1)),
        "extensor digitorum brevis": tube(
            [(17, 22, -12), (15, 45, 0), (6, 80, 4)], (4, 5, 2.4), stretch=(1.5, 1.25, 1)),
    }


def tendons(foot: Pose) -> dict[str, list[Shape]]:
    """In the frame of the leg; ``f`` marks points that move with the foot."""
    f = foot.point
    return {
        "achilles": tube(
            [(0, -56, 220), (0, -52, 100), f((0, -59, -24)), f((0, -60, -38))],
            (2.6, 2.8, 2.7, 3.0), stretch=(2.6, 1, 1), pieces=12),
        "tibialis anterior": tube(
            [(-2, 27, 90), (-6, 27, 45), f((-12, 31, 18)), f((-22, 58, 6))], (2.4, 2.4, 2.6, 2),
            stretch=(1.4, 1, 1), pieces=8),
        "extensor hallucis longus": tube(
            [(3, 26, 60), (1, 27, 35), f((-6, 34, 20)), f((-14, 85, 8))], 1.6, pieces=8),
        "extensor digitorum longus": tube(
            [(9, 25, 60), (8, 26, 35), f((6, 33, 16)), f((10, 85, 3))], 1.7, stretch=(2, 1, 1),
            pieces=8),
        "tibialis posterior": tube(
            [(-13, -21, 60), (-20, -20, 26), f((-22, -10, 2)), f((-22, 30, -10)),
             f((-16, 48, -10))], (2, 2.2, 2.4, 2.6, 2), pieces=10),
        "flexor digitorum longus": tube(
            [(-9, -26, 60), (-17, -25, 22), f((-20, -12, -8)), f((-16, 20, -28)),
             f((0, 70, -38))], 1.6, pieces=10),
        "flexor hallucis longus": tube(
            [(0, -27, 20), f((-3, -26, -6)), f((-9, -8, -22)), f((-14, 25, -30)),
             f((-22, 110, -38))], 1.8, pieces=10),
        "peroneus longus": tube(
            [(25, -21, 90), (24, -20, 25), f((22, -14, -10)), f((20, 25, -38)), f((5, 52, -40))],
            1.9, pieces=10),
        "peroneus brevis": tube(
            [(22, -18, 40), f((22, -17, 2)), f((22, -5, -20)), f((28, 55, -28))], 1.6, pieces=8),
        "plantar fascia": tube(
            [f((-4, -42, -58)), f((-4, 0, -58)), f((0, 60, -50)), f((0, 120, -44))],
            (1.2, 1.1, 0.9, 0.8), stretch=(6, 1, 1)),
    }


def ligaments(foot: Pose) -> dict[str, Shape]:
    f = foot.point
    return {
        "deltoid": rod((-22, 1, 4), f((-17, 2, -18)), 2.2, 2.6, stretch=(1, 3, 1)),
        "anterior talofibular": rod((22, 4, 0), f((13, 15, 2)), 1.4),
        "posterior talofibular": rod((19, -9, -2), f((8, -19, -2)), 1.8),
        "calcaneofibular": rod((23, -4, -6), f((16, -16, -28)), 1.3),
        "interosseous talocalcaneal": rod(f((0, 9, -12)), f((2, 9, -24)), 2.6, stretch=(1.8, 1, 1)),
        "cervical": rod(f((8, 13, -8)), f((12, 14, -22)), 1.6),
        "spring": rod(f((-16, 8, -18)), f((-16, 38, -10)), 2.2),
        "long plantar": rod(f((0, -30, -52)), f((10, 38, -38)), 1.6, stretch=(3, 1, 1)),
        "syndesmosis": rod((14, 2, 26), (20, -2, 24), 2.0, stretch=(1, 2, 2)),
        "anterior capsule": rod((-8, 18, 22), f((-8, 17, 10)), 1.2, stretch=(6, 1, 1)),
    }


def vessels(foot: Pose, rng: np.random.Generator) -> dict[str, tuple[str, list[Shape]]]:
    """Tissue and course of the named vessels and nerves and of some veins in the fat."""
    f = foot.point
    named = {
        "posterior tibial artery": ("artery", tube(
            [(-6, -32, 90), (-12, -31, 25), f((-19, -20, -14)), f((-20, 5, -30))], 1.1)),
        "posterior tibial vein": ("vein", tube(
            [(-3, -33, 90), (-9, -33, 25), f((-18, -23, -12)), f((-19, 5, -33))], 1.6)),
        "tibial nerve": ("nerve", tube(
            [(0, -35, 90), (-7, -35, 25), f((-16, -27, -14)), f((-16, 0, -34))], 1.8)),
        "anterior tibial artery": ("artery", tube(
            [(6, 18, 90), (5, 22, 30), f((-2, 31, 17)), f((-6, 70, 7))], 1.0)),
        "great saphenous vein": ("vein", tube(
            [(-30, 8, 100), (-29, 14, 30), f((-24, 30, 4)), f((-26, 70, -4))], 1.5)),
        "small saphenous vein": ("vein", tube(
            [(6, -62, 110), (18, -44, 30), f((27, -20, -14)), f((30, 30, -20))], 1.4)),
    }
    for number in range(9):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(26, 32)
        side = radius * np.array([np.cos(angle), 1.25 * np.sin(angle)]) - (0, 10)
        path = [(*(side + rng.normal(0, 3, 2)), z) for z in (90, 60, 30, 5)]
        named[f"superficial vein {number + 1}"] = ("vein", tube(path, rng.uniform(0.6, 1.1)))
    return named


# fmt: on


def paint_soft_tissue(
    canvas: Canvas, leg: Pose, foot: Pose, subject: dict, textures: Textures
) -> None:
    """Skin, subcutaneous fat, the deep compartment and its muscles."""
    fat = subject["subcutaneous_mm"] + 1.2
    surfaces = leg_surface(), transformed(foot_surface(), foot)
    outer = transformed(surfaces, leg)
    inner = [grown(s, -by) for s, by in zip(surfaces, (fat, fat + 3), strict=True)]
    within = union(*transformed(inner, leg), blend=10)
    # Where the foot points down, the skin spans the hollow above the heel with the tendon in it.
    over_achilles = rod((0, -53, 70), foot.point((0, -57, -26)), 6.5, stretch=(1.6, 1, 1))
    envelope = union(*outer, transformed(over_achilles, leg), blend=18)
    paint_skin_and_fat(canvas, envelope, textures)
    paint_loose(canvas, within, textures, share=0.2)
    for muscle in leg_muscles().values():
        paint_muscle(canvas, transformed(muscle, leg), within, textures, subject["muscle_fat"])
    for pieces in foot_muscles().values():
        muscle = transformed(union(*pieces, blend=2), leg.after(foot))
        paint_muscle(canvas, muscle, within, textures, subject["muscle_fat"])


def paint_sinews(canvas: Canvas, leg: Pose, foot: Pose, rng: np.random.Generator) -> None:
    """Vessels, ligaments and tendons, which are thinner than a slice at reduced size."""
    for tissue, pieces in vessels(foot, rng).values():
        paint_all(canvas, transformed(pieces, leg), tissue)
    paint_all(canvas, transformed(ligaments(foot), leg).values(), "ligament")
    for pieces in tendons(foot).values():
        paint_all(canvas, transformed(pieces, leg), "tendon")
