"""The scene ``ankle_mr``."""
