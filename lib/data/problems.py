"""How a problem in the data is worded: one line that names the place and says how to fix it."""


def describe(place: object, found: str, expected: str, fix: str) -> str:
    """One line for the user: where, what was found there, what was expected, what to do."""
    return f"{place}: found {found}; expected {expected}. Fix: {fix}."
