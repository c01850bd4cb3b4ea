"""Errors, paths, files, tables: what every room needs and nothing more."""
