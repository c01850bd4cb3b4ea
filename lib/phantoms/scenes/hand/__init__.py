"""The scene ``hand``."""
