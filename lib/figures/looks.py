"""What methods, structures and bones are called and coloured; each study registers its own."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lib.base.errors import SettingError

REFERENCE_COLOUR = "#F0E442"
DICE_COLOUR, BCE_COLOUR = "#332288", "#AA4499"

# After Okabe and Ito, told apart under colour blindness: for what has no colour of its own.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX*hd<>p"


class MethodStyle(NamedTuple):
    label: str
    colour: str
    marker: str


METHODS: dict[str, MethodStyle] = {}  # in the order of every legend
BONES: dict[str, tuple[str, str]] = {}  # name in lower case -> label, colour
OUTLINES: list[Mapping[str, str]] = []  # structure -> colour, one mapping per kind of image
WORDS = {
    "f1": "F1",
    "bce": "BCE",
    "hd": "Hausdorff distance",
    "iou": "IoU",
    "val_f1": "Validation F1",
    "train_loss": "Training",
    "val_loss": "Validation",
}
_unregistered: dict[str, MethodStyle] = {}  # in the order in which they were asked for


def register(
    methods: Mapping[str, MethodStyle] | None = None,
    *,
    bones: Mapping[str, tuple[str, str]] | None = None,
    words: Mapping[str, str] | None = None,
    outlines: Mapping[str, str] | None = None,
) -> None:
    """Add what a study draws; its ``figures/looks.py`` calls this once.

    Args:
        methods: name -> label, colour and marker, in the order of the legend.
        bones: name in lower case -> label and colour.
        words: column, metric or dataset -> what ``label`` says.
        outlines: structure -> colour, of the structures that lie together on one image.

    Raises:
        SettingError: if a name has another look already, a label is empty, or two share one.
    """
    for table, new in ((METHODS, methods), (BONES, bones), (WORDS, words)):
        for name, look in (new or {}).items():
            if table.setdefault(name, look) != look:
                raise SettingError(
                    f"look of '{name}': found {look}; expected {table[name]}, as registered "
                    "before. Fix: give one of the two another name."
                )
    if nameless := [name for name, style in METHODS.items() if not style.label.strip()]:
        raise SettingError(
            f"labels: found none for {', '.join(nameless)}; expected words for every method. "
            "Fix: write one, or leave the method out to have it labelled by its name."
        )
    labels = [style.label for style in METHODS.values()]
    if doubled := {text for text in labels if labels.count(text) > 1}:
        raise SettingError(
            f"labels: found {', '.join(sorted(doubled))} for several methods; expected one label "
            "per method. Fix: rename one."
        )
    if outlines and outlines not in OUTLINES:
        OUTLINES.append(outlines)


def method_style(method: str) -> MethodStyle:
    """Label, colour and marker of a method.

    A method that no study has registered is labelled by its name and gets the next colour and
    marker, in the order in which such methods are first asked for.
    """
    if method in METHODS:
        return METHODS[method]
    n = len(_unregistered)
    look = MethodStyle(label(method), PALETTE[n % len(PALETTE)], MARKERS[n % len(MARKERS)])
    return _unregistered.setdefault(method, look)


def ordered_methods(names: Iterable[str]) -> list[str]:
    """The distinct ``names``: registered ones in their order, then the others as they come."""
    distinct = list(dict.fromkeys(names))
    others = [name for name in distinct if name not in METHODS]
    return [name for name in METHODS if name in distinct] + others


def label(name: str) -> str:
    """A column, metric or dataset in words."""
    return WORDS.get(name, name.replace("_", " ").capitalize())


def bone_look(bone: str) -> tuple[str, str]:
    """Label and colour of a bone, whose case does not matter ("M2" is "m2").

    Raises SettingError for an unknown bone.
    """
    if bone.lower() not in BONES:
        raise SettingError(
            f"bone: found '{bone}'; expected one of {', '.join(BONES)}. "
            "Fix: correct the name, or register the bone in the study's figures/looks.py."
        )
    return BONES[bone.lower()]


def label_colours(labels: Iterable) -> dict:
    """A colour for each distinct label: a bone's own, else the next of a fixed list.

    Raises SettingError if more than seven labels are no bones.
    """
    distinct = list(dict.fromkeys(labels))
    others = [name for name in distinct if str(name).lower() not in BONES]
    if len(others) > len(PALETTE):
        raise SettingError(
            f"label: found {len(others)} besides bones; expected at most {len(PALETTE)} that eyes "
            "can tell apart. Fix: merge labels, or draw them in panels of their own."
        )
    chosen = dict(zip(others, PALETTE, strict=False))
    return {name: chosen.get(name) or BONES[str(name).lower()][1] for name in distinct}


def outline_colours(structures: Iterable[str]) -> Mapping[str, str]:
    """Colours of structures drawn on one image: registered together, else ``label_colours``."""
    structures = list(structures)
    together = (colours for colours in OUTLINES if set(structures) <= set(colours))
    return next(together, None) or label_colours(structures)
