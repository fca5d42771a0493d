"""Intervals, contrasts, fits and predictions, for any study."""
