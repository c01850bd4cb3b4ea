"""A trained model on your own images: masks in their own frame, overlays, measurements.

``results.predict`` is all that a notebook needs; ``model`` finds and loads what was trained.
"""
