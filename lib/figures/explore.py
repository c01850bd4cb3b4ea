"""Widgets of the notebooks' Explore sections; without a live kernel they show a static picture."""

from collections.abc import Callable

import ipywidgets
from IPython.display import display
from matplotlib.figure import Figure


def explore(draw: Callable[..., Figure], choices: dict[str, list | tuple]) -> None:
    """Show ``draw(**values)`` below its controls and redraw it whenever one changes.

    The first picture is drawn as an ordinary output, so that it also stands in a stored notebook
    and in its HTML, where no kernel answers the controls.

    Args:
        draw: values of all controls -> figure.
        choices: a list makes a menu, (low, high, step, start) a slider.
    """
    controls = {name: _control(name, choice) for name, choice in choices.items()}

    def current() -> Figure:
        return draw(**{name: control.value for name, control in controls.items()})

    picture = display(current(), display_id=True)
    for control in controls.values():
        control.observe(lambda change: picture.update(current()), "value")
    display(ipywidgets.VBox(list(controls.values())))


def _control(name: str, choice: list | tuple) -> ipywidgets.Widget:
    if isinstance(choice, list):
        return ipywidgets.Dropdown(options=choice, description=name)
    low, high, step, start = choice
    kind = ipywidgets.IntSlider if isinstance(step, int) else ipywidgets.FloatSlider
    return kind(start, min=low, max=high, step=step, description=name, continuous_update=False)
