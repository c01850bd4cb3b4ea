"""The commands: ``python -m lib.app.<command>``; the only room that may see everything."""
