"""The scene ``wrist``."""
