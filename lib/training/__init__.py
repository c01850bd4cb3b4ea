"""One supervised fit loop that an interruption cannot change, its checkpoints and schedules."""
