"""Geometry of bodies: solids, tubes, plates, canvases."""
