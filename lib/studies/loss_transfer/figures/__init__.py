"""Figures of the loss transfer study, and the shared ones that it draws."""
