"""Audit, ledger, checklists and the book: what all studies found, in one place."""
