"""Labels, colours and markers of the pediatric and hand studies: methods and bones."""

from collections.abc import Iterable

from lib.errors import SettingError
from lib.figures.style import METHODS, MethodStyle

REGULARISATIONS = {
    "base": ("Base", "o"),
    "shape": ("ShapeReg", "s"),
    "adv": ("AdvReg", "^"),
    "comb": ("CombReg", "D"),
    "spar": ("SPAR", "P"),
    "spar_adv": ("SPAR + AdvReg", "X"),
}

# A hue each backbone and strategy, darker and with another marker the more is added to the loss.
_SHADES = {
    ("att_unet/individual", "Att-UNet individual"): {
        "base": "#FFE0A8", "shape": "#F7B94A", "adv": "#E58A00", "comb": "#A85400",
    },
    ("att_unet/global", "Att-UNet global"): {
        "base": "#F6C9E0", "shape": "#E493C3", "adv": "#CC5FA0", "comb": "#8E2A6E",
    },
    ("att_unet/multi", "Att-UNet multi"): {
        "base": "#A6D8F5", "shape": "#56B4E9", "adv": "#1E86D0", "comb": "#0A4A8C",
    },
    ("vgg_unet/multi", "VGG-UNet multi"): {"base": "#8FDDB9", "comb": "#007A55"},
    ("dense_unet/multi", "Dense-UNet multi"): {"base": "#C9BDF2", "comb": "#5A3FB5"},
    ("res_unet/multi", "Res-UNet multi"): {
        "base": "#F5A38A", "comb": "#C8321A", "spar": "#B5B000", "spar_adv": "#5E5C00",
    },
}  # fmt: skip

PEDIATRIC = {
    f"{prefix}/{name}": MethodStyle(f"{label} {REGULARISATIONS[name][0]}", colour, marker)
    for (prefix, label), shades in _SHADES.items()
    for name, colour in shades.items()
    for marker in REGULARISATIONS[name][1]
}

HAND = {
    "simclr": MethodStyle("SimCLR", "#0072B2", "o"),
    "supcon": MethodStyle("SupCon", "#E69F00", "s"),
    "swav": MethodStyle("SwAV", "#009E73", "^"),
    "vicreg": MethodStyle("VICReg", "#CC79A7", "D"),
    "supervised": MethodStyle("Supervised", "#5A5A5A", "X"),
    "mose": MethodStyle("MoSE", "#D55E00", "P"),
    "unet": MethodStyle("U-Net", "#56B4E9", "v"),
}

# Colours after Tol and after Okabe and Ito, told apart under colour blindness within one study.
BONES = {
    "calcaneus": ("Calcaneus", "#E69F00"),
    "talus": ("Talus", "#0072B2"),
    "tibia": ("Tibia", "#009E73"),
    "humerus": ("Humerus", "#D55E00"),
    "scapula": ("Scapula", "#56B4E9"),
    "ulna": ("Ulna", "#882255"),
    "radius": ("Radius", "#CC6677"),
    "m1": ("M1", "#DDCC77"),
    "m2": ("M2", "#88CCEE"),
    "m3": ("M3", "#117733"),
    "m4": ("M4", "#44AA99"),
    "m5": ("M5", "#332288"),
}
HAND_BONES = ("ulna", "radius", "m1", "m2", "m3", "m4", "m5")

OTHERS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def look(method: str) -> MethodStyle:
    """Label, colour and marker of a method of any study; SettingError if it has none yet."""
    looks = METHODS | PEDIATRIC | HAND
    if method not in looks:
        raise SettingError(
            f"method: found '{method}'; expected one of {', '.join(looks)}. "
            "Fix: correct the name, or give it a label and colour in lib/figures/looks.py."
        )
    return looks[method]


def in_order(methods: Iterable[str]) -> list[str]:
    """The distinct ``methods`` in the studies' order; SettingError for an unknown one."""
    methods = {method for method in methods if look(method)}
    return [method for method in METHODS | PEDIATRIC | HAND if method in methods]


def bone_look(bone: str) -> tuple[str, str]:
    """Label and colour of a bone, whose case does not matter ("M2" is "m2").

    Raises SettingError for an unknown bone.
    """
    if bone.lower() not in BONES:
        raise SettingError(
            f"bone: found '{bone}'; expected one of {', '.join(BONES)}. "
            "Fix: correct the name, or add the bone in lib/figures/looks.py."
        )
    return BONES[bone.lower()]


def label_colours(labels: Iterable) -> dict:
    """A colour for each distinct label: a bone's own, else the next of a fixed row.

    Raises SettingError if more than seven labels are no bones.
    """
    distinct = list(dict.fromkeys(labels))
    others = [name for name in distinct if str(name).lower() not in BONES]
    if len(others) > len(OTHERS):
        raise SettingError(
            f"label: found {len(others)} besides bones; expected at most {len(OTHERS)} that eyes "
            "can tell apart. Fix: merge labels, or draw them in panels of their own."
        )
    chosen = dict(zip(others, OTHERS, strict=False))
    return {name: chosen.get(name) or BONES[str(name).lower()][1] for name in distinct}
