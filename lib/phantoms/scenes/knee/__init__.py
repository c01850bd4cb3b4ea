"""The scene ``knee``."""
