"""Checks on the data frames that figures are drawn from."""

import pandas as pd

from lib.base.errors import SettingError


def require_single(frame: pd.DataFrame, column: str) -> None:
    """SettingError unless ``column`` holds one value: a figure must not average over the others."""
    values = frame[column].unique()
    if len(values) != 1:
        raise SettingError(
            f"{column}: found {', '.join(map(str, values)) or 'no rows'}; expected one in this "
            f"figure. Fix: select the rows of one {column} first."
        )
