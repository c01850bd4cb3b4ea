"""What the hand study's methods and bones are called and coloured."""

from lib.figures.looks import MethodStyle, register

METHODS = {
    "simclr": MethodStyle("SimCLR", "#0072B2", "o"),
    "supcon": MethodStyle("SupCon", "#E69F00", "s"),
    "swav": MethodStyle("SwAV", "#009E73", "^"),
    "vicreg": MethodStyle("VICReg", "#CC79A7", "D"),
    "supervised": MethodStyle("Supervised", "#5A5A5A", "X"),
    "mose": MethodStyle("MoSE", "#D55E00", "P"),
    "unet": MethodStyle("U-Net", "#56B4E9", "v"),
}

# After Tol, told apart under colour blindness; in the order of the labels.
BONES = {
    "ulna": ("Ulna", "#882255"),
    "radius": ("Radius", "#CC6677"),
    "m1": ("M1", "#DDCC77"),
    "m2": ("M2", "#88CCEE"),
    "m3": ("M3", "#117733"),
    "m4": ("M4", "#44AA99"),
    "m5": ("M5", "#332288"),
}
HAND_BONES = tuple(BONES)

register(METHODS, bones=BONES)
