"""What figures ask of their input before they draw."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lib.base.errors import SettingError


def require_columns(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """SettingError unless the frame has rows and all of ``columns``."""
    missing = [name for name in columns if name not in frame]
    if missing or frame.empty:
        raise SettingError(
            f"table: found {len(frame)} rows without {', '.join(missing) or 'content'}; expected "
            f"rows with {', '.join(columns)}. Fix: pass the table that the docstring names."
        )


def require_range(frame: pd.DataFrame, column: str, low: float, high: float) -> None:
    """SettingError unless all values that are not NaN lie from ``low`` to ``high``."""
    outside = frame[column][(frame[column] < low) | (frame[column] > high)]
    if len(outside):
        raise SettingError(
            f"{column}: found {outside.iloc[0]:g}; expected values from {low:g} to {high:g}. "
            "Fix: check the unit (fraction or percent)."
        )


def require_unique(frame: pd.DataFrame, keys: list[str]) -> None:
    """SettingError if two rows share their ``keys``: a figure must not average unasked."""
    doubled = frame.loc[frame.duplicated(keys), keys]
    if len(doubled):
        raise SettingError(
            f"table: found several rows for {doubled.iloc[0].to_dict()}; expected one. "
            "Fix: select one run, or average over seeds first."
        )


def require_alike(**arrays: np.ndarray) -> None:
    """SettingError unless the named arrays have one shape."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise SettingError(f"shapes: found {listed}; expected one. Fix: resample to one grid.")
