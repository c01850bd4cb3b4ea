"""How good the phantoms are: difficulty, likeness to real pictures, variety, use for training.

``python -m lib.app.phantom_validation difficulty|realism|variety|transfer`` writes
tables and figures.
"""
