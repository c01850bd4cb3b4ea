"""One look for every figure: size, type, and a fixed label, colour and marker per method."""

from io import BytesIO
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from lib.errors import SettingError

WIDTH_IN = 7.2  # two journal columns
REFERENCE_COLOUR = "#F0E442"
DICE_COLOUR, BCE_COLOUR = "#332288", "#AA4499"
MUTED = "#5A5A5A"


class MethodStyle(NamedTuple):
    label: str
    colour: str
    marker: str


# In the order of every legend. Colours after Okabe and Ito, told apart under colour blindness;
# greys are baselines that were not trained.
METHODS = {
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

RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "osteobook",  # the same ids in every run
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}


class NotebookFigure(Figure):
    """A figure that notebooks show although pyplot does not know of it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        with style():
            self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


def style():
    """The look of this project, for ``with style():`` or as the decorator ``@style()``."""
    return mpl.rc_context(RC)


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that pyplot does not know of, so that none piles up in a notebook."""
    return NotebookFigure(figsize=(width_in, height_in), layout="constrained")


def method_style(method: str) -> MethodStyle:
    """Label, colour and marker of a method; SettingError if it has none yet."""
    if method not in METHODS:
        raise SettingError(
            f"method: found '{method}'; expected one of {', '.join(METHODS)}. "
            "Fix: correct the name, or give it a label and colour in lib/figures/style.py."
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
            f"Fix: correct the name, or add the {kind} in lib/figures/style.py."
        )
    return table[name]


def label(name: str) -> str:
    """A column, metric or dataset in words."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def epoch_axis(axes) -> None:
    """Whole epochs at round numbers, labelled."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Epoch")


def fraction_axis(axes) -> None:
    """Exactly 0 to 1 across, with few tick labels, so that neighbours do not touch."""
    axes.set(xlim=(0, 1), xticks=[0, 0.25, 0.5, 0.75, 1])
    axes.set_xticklabels(["0", "", "0.5", "", "1"])


def log_axis(axes) -> None:
    """A logarithmic axis across, with a plain number at each tick."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def rows_axis(grid, names) -> None:
    """One named row a line, the first on top, for a row of axes that share their y axis."""
    grid[0].set_yticks(range(len(names)), names)
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    for axes in grid:
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)


def note(figure: Figure, text: str) -> None:
    """Adds a line, once, at the foot of the figure: n, what a band means, what the data are."""
    lines = [line for line in figure.get_supxlabel().splitlines() if line != text]
    figure.supxlabel("\n".join([*lines, text]), x=0.01, ha="left", fontsize=6.5, color=MUTED)
