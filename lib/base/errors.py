"""Errors meant for the user: each names what was found, what was expected and how to fix it."""


class OsteoBookError(Exception):
    """Base of every error whose message alone should be enough to fix the problem."""


class DataError(OsteoBookError):
    """A file or folder of images, masks or labels cannot be used as it is."""


class SettingError(OsteoBookError):
    """A parameter, profile, study or method does not exist or has an impossible value."""
