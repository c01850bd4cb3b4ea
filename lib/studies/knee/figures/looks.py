"""What the knee study's networks, losses and structures are called and coloured."""

from collections.abc import Iterable

from lib.figures.looks import MethodStyle, label, method_style, register

NETWORKS = {
    "fcn_unet": MethodStyle("FCN_UNet", "#E69F00", "o"),
    "pspnet": MethodStyle("PSPNet_R50c", "#0072B2", "s"),
    "deeplabv3plus": MethodStyle("DeepLabV3+_R50c", "#D55E00", "D"),
    "upernet": MethodStyle("UPerNet_R50c", "#009E73", "^"),
    "segformer": MethodStyle("SegFormer_B2", "#CC79A7", "v"),
}

# The numbers are the weights of the terms; wDICE and wBD have the areas' weights inside too.
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

# Bright enough for outlines on radiographs, told apart under colour blindness.
STRUCTURES = {
    "patella": "#FFF04A",
    "femur": "#7DF9FF",
    "tibia": "#2E7BFF",
    "tendon": "#FF5A1F",
}

register(NETWORKS, outlines=STRUCTURES)


def loss_label(loss: str) -> str:
    """A loss in short."""
    return LOSS_LABELS.get(loss) or label(loss)


def model_label(network: str, loss: str, separator: str = "  ") -> str:
    """A model in words: its network and its loss."""
    return method_style(network).label + separator + loss_label(loss)


def ordered_losses(names: Iterable[str]) -> list[str]:
    """The distinct ``names``: labelled ones in their order, then the others as they come."""
    distinct = list(dict.fromkeys(names))
    return sorted(distinct, key=lambda name: [*LOSS_LABELS, *distinct].index(name))
