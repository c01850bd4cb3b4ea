"""The scene ``shoulder``."""
