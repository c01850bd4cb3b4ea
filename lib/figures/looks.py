"""What every method, network, loss, structure and bone is called and coloured, in all figures."""

from collections.abc import Iterable
from typing import NamedTuple

from lib.base.errors import SettingError

REFERENCE_COLOUR = "#F0E442"
DICE_COLOUR, BCE_COLOUR = "#332288", "#AA4499"


class MethodStyle(NamedTuple):
    label: str
    colour: str
    marker: str


# In the order of every legend. Colours after Okabe and Ito, told apart under colour blindness;
# greys are baselines that were not trained.
RADIOGRAPHS = {
    "fixed_half": MethodStyle("Fixed 0.5 + 0.5", "#E69F00", "o"),
    "fixed_one": MethodStyle("Fixed 1 + 1", "#CC79A7", "s"),
    "complementary": MethodStyle("Complementary", "#0072B2", "D"),
    "complementary_from_0.1": MethodStyle("Complementary from 0.1", "#56B4E9", "^"),
    "literal": MethodStyle("Literal equation 3", "#D55E00", "v"),
    "reversed": MethodStyle("Reversed", "#009E73", "P"),
    # humerus: a hue each loss, darker and with another marker where the boundary loss is added
    "bce": MethodStyle("BCE", "#56B4E9", "o"),
    "bce_boundary": MethodStyle("BCE + boundary", "#00507F", "D"),
    "focal": MethodStyle("Focal", "#E8A5CC", "o"),
    "focal_boundary": MethodStyle("Focal + boundary", "#A0407A", "D"),
    "dice": MethodStyle("Dice", "#F2B84B", "o"),
    "dice_boundary": MethodStyle("Dice + boundary", "#B35900", "D"),
    "bce_dice_boundary": MethodStyle("BCE + Dice + boundary", "#009E73", "P"),
    "dice_boundary_ft": MethodStyle("Dice + boundary, fine-tuned", "#D5003C", "*"),
    "dice_boundary_control": MethodStyle("Fine-tuning, control", "#8C8C00", "X"),
    "dice_boundary_swapped": MethodStyle("Fine-tuned, rates swapped", "#7A3B2E", "v"),
    "focal_adaptive": MethodStyle("Focal, adaptive", "#9A8CE0", "o"),
    "focal_adaptive_boundary": MethodStyle("Focal, adaptive + boundary", "#4B2E9E", "D"),
    "all_positive": MethodStyle("All positive", "#000000", "|"),
    "all_negative": MethodStyle("All negative", "#6E6E6E", "|"),
    "mean_mask": MethodStyle("Mean mask", "#BDBDBD", "X"),
}

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

METHODS = RADIOGRAPHS | PEDIATRIC | HAND

# knee: a colour and a marker each network
NETWORKS = {
    "fcn_unet": MethodStyle("FCN_UNet", "#E69F00", "o"),
    "pspnet": MethodStyle("PSPNet_R50c", "#0072B2", "s"),
    "deeplabv3plus": MethodStyle("DeepLabV3+_R50c", "#D55E00", "D"),
    "upernet": MethodStyle("UPerNet_R50c", "#009E73", "^"),
    "segformer": MethodStyle("SegFormer_B2", "#CC79A7", "v"),
}

# knee: the numbers are the weights of the terms; wDICE and wBD have the areas' weights inside too.
LOSS_LABELS = {
    "ce1": "CE1",
    "ce2": "CE2",
    "ce2_dice_90_10": "CE2+DICE .90:.10",
    "ce2_dice_50_50": "CE2+DICE .50:.50",
    "ce2_dice_10_90": "CE2+DICE .10:.90",
    "ce2_bd_90_10": "CE2+BD .90:.10",
    "ce2_bd_50_50": "CE2+BD .50:.50",
    "ce2_bd_10_90": "CE2+BD .10:.90",
    "ce2_dice_bd_80_10_10": "CE2+DICE+BD .80:.10:.10",
    "ce2_dice_bd_34_33_33": "CE2+DICE+BD .34:.33:.33",
    "ce2_dice_bd_50_25_25": "CE2+DICE+BD .50:.25:.25",
    "area_dice_50_50": "CE2+wDICE .50:.50",
    "area_bd_50_50": "CE2+wBD .50:.50",
    "area_dice_bd_50_25_25": "CE2+wDICE+wBD .50:.25:.25",
    "ce2_printed": "CE2, printed weights",
    "ce1_ones": "CE1, no internal weights",
    "ce2_ones": "CE2, no internal weights",
    "ce2_bd_50_50_scaled": "CE2+BD .50:.50, scaled",
    "ce2_bd_50_50_shifted": "CE2+BD .50:.50, shifted",
    "ce2_bd_50_50_edge": "CE2+BD .50:.50, edge",
}

# knee: bright enough for outlines on radiographs, told apart under colour blindness.
STRUCTURES = {
    "patella": "#FFF04A",
    "femur": "#7DF9FF",
    "tibia": "#2E7BFF",
    "tendon": "#FF5A1F",
}

LABELS = {
    "f1": "F1",
    "bce": "BCE",
    "dice": "Dice",
    "focal_adaptive": "Focal, adaptive",
    "hd": "Hausdorff distance",
    "iou": "IoU",
    "whole": "Whole image",
    "tight": "Tight crop",
    "val_f1": "Validation F1",
    "train_loss": "Training",
    "val_loss": "Validation",
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


def method_style(method: str) -> MethodStyle:
    """Label, colour and marker of a method; SettingError if it has none yet."""
    if method not in METHODS:
        raise SettingError(
            f"method: found '{method}'; expected one of {', '.join(METHODS)}. "
            "Fix: correct the name, or give it a label and colour in lib/figures/looks.py."
        )
    return METHODS[method]


def ordered_methods(names) -> list[str]:
    """The distinct ``names`` in the project's order; SettingError for an unknown method."""
    names = {name for name in names if method_style(name)}
    return [name for name in METHODS if name in names]


def network_style(network: str) -> MethodStyle:
    """Label, colour and marker of a knee network; SettingError if it has none yet."""
    return _known("network", network, NETWORKS)


def loss_label(loss: str) -> str:
    """A knee loss in short; SettingError if it has no label yet."""
    return _known("loss", loss, LOSS_LABELS)


def model_label(network: str, loss: str, separator: str = "  ") -> str:
    """A knee model in words: its network and its loss."""
    return network_style(network).label + separator + loss_label(loss)


def ordered_networks(names) -> list[str]:
    """The distinct ``names`` in the project's order; SettingError for an unknown network."""
    names = {name for name in names if network_style(name)}
    return [name for name in NETWORKS if name in names]


def ordered_losses(names) -> list[str]:
    """The distinct ``names`` in the project's order; SettingError for an unknown loss."""
    names = {name for name in names if loss_label(name)}
    return [name for name in LOSS_LABELS if name in names]


def _known(kind, name, table):
    if name not in table:
        raise SettingError(
            f"{kind}: found '{name}'; expected one of {', '.join(table)}. "
            f"Fix: correct the name, or add the {kind} in lib/figures/looks.py."
        )
    return table[name]


def label(name: str) -> str:
    """A column, metric or dataset in words."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


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
