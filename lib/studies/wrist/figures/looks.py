"""What the wrist study's methods are called and coloured."""

from lib.figures.looks import MethodStyle, register

METHODS = {
    "fixed_half": MethodStyle("Fixed 0.5 + 0.5", "#E69F00", "o"),
    "fixed_one": MethodStyle("Fixed 1 + 1", "#CC79A7", "s"),
    "complementary": MethodStyle("Complementary", "#0072B2", "D"),
    "complementary_from_0.1": MethodStyle("Complementary from 0.1", "#56B4E9", "^"),
    "literal": MethodStyle("Literal equation 3", "#D55E00", "v"),
    "reversed": MethodStyle("Reversed", "#009E73", "P"),
    # greys: predictions that look at no image
    "all_positive": MethodStyle("All positive", "#000000", "|"),
    "all_negative": MethodStyle("All negative", "#6E6E6E", "|"),
    "mean_mask": MethodStyle("Mean mask", "#BDBDBD", "X"),
}

register(
    METHODS,
    words={"whole": "Whole image", "tight": "Tight crop"},
    outlines={"fracture": "#FF5A1F"},
)
