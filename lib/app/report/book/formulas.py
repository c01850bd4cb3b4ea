"""Formulas as inline SVG, drawn by matplotlib, so that a page needs neither network nor script."""

import re
from html import escape

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

SIZE = 10  # drawn at; the picture is in em and takes the size and colour of the text around it
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
POINTS = {Path.MOVETO: 1, Path.LINETO: 1, Path.CURVE3: 2, Path.CURVE4: 3, Path.CLOSEPOLY: 1}
_ARGUMENT = r"\s*(\{(?:[^{}]|\{[^{}]*\})*\}|\\[a-zA-Z]+|[^\s{}\\])"
# What mathtext has under another name only.
SYNONYMS = {
    "ge": r"\geq",
    "le": r"\leq",
    "lVert": r"\|",
    "rVert": r"\|",
    "lvert": "|",
    "rvert": "|",
}
SYNONYM = re.compile(rf"\\({'|'.join(SYNONYMS)})(?![a-zA-Z])")
FRACTION = re.compile(rf"\\[dt]?frac{_ARGUMENT}{_ARGUMENT}")


def formula(latex: str, display: bool = False) -> str:
    """``latex`` as SVG in HTML; as readable LaTeX in a code element where it cannot be drawn."""
    kind = "math display" if display else "math"
    source = " ".join(latex.split())
    try:
        paths, width, height, depth = _outline(_as_mathtext(source, display))
    except ValueError:  # a command that mathtext does not know
        return f'<code class="{kind}">{escape(source)}</code>'
    box = f"0 {-height:.2f} {width:.2f} {height + depth:.2f}"
    style = f"height:{(height + depth) / SIZE:.3f}em;vertical-align:{-depth / SIZE:.3f}em"
    label = f'role="img" aria-label="{escape(source)}"'
    return f'<svg class="{kind}" {label} viewBox="{box}" style="{style}"><path d="{paths}"/></svg>'


def _outline(source: str) -> tuple[str, float, float, float]:
    """Outline as SVG path data, and width, height and depth around the base line."""
    text, font = f"${source}$", FontProperties(size=SIZE)
    width, height, depth = text_to_path.get_text_width_height_descent(text, font, ismath=True)
    vertices, codes = text_to_path.get_text_path(font, text, ismath=True)
    scale = SIZE / text_to_path.FONT_SCALE  # the size of the outlines, whatever the font's
    return _path_data(np.multiply(vertices, scale), codes), width, height - depth, depth


def _as_mathtext(source: str, display: bool) -> str:
    r"""The same in what mathtext reads: synonyms, and ``\frac{1}{2}`` for ``\frac12``."""
    large = "d" if display else ""
    source = SYNONYM.sub(lambda m: SYNONYMS[m[1]], source)
    return FRACTION.sub(lambda m: rf"\{large}frac{{{_bare(m[1])}}}{{{_bare(m[2])}}}", source)


def _bare(argument: str) -> str:
    return argument[1:-1] if argument.startswith("{") else argument


def _path_data(vertices, codes) -> str:
    """SVG path data; its y axis points down."""
    parts, position = [], 0
    while position < len(codes):
        code, step = codes[position], POINTS[codes[position]]
        points = vertices[position : position + step]
        parts.append(
            "Z"
            if code == Path.CLOSEPOLY
            else COMMANDS[code] + " ".join(f"{x:.2f} {-y:.2f}" for x, y in points)
        )
        position += step
    return "".join(parts)
