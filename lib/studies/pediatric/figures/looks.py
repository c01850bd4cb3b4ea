"""What the pediatric study's methods and bones are called and coloured."""

from lib.figures.looks import MethodStyle, register

REGULARISATIONS = {
    "base": ("Base", "o"),
    "shape": ("ShapeReg", "s"),
    "adv": ("AdvReg", "^"),
    "comb": ("CombReg", "D"),
    "spar": ("SPAR", "P"),
    "spar_adv": ("SPAR + AdvReg", "X"),
}

# A hue for each backbone and strategy, darker the more is added to the loss, with its own marker.
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

METHODS = {
    f"{prefix}/{name}": MethodStyle(f"{label} {REGULARISATIONS[name][0]}", colour, marker)
    for (prefix, label), shades in _SHADES.items()
    for name, colour in shades.items()
    for marker in REGULARISATIONS[name][1]
}

# After Tol and after Okabe and Ito, told apart under colour blindness.
BONES = {
    "calcaneus": ("Calcaneus", "#E69F00"),
    "talus": ("Talus", "#0072B2"),
    "tibia": ("Tibia", "#009E73"),
    "humerus": ("Humerus", "#D55E00"),
    "scapula": ("Scapula", "#56B4E9"),
}

register(METHODS, bones=BONES)
