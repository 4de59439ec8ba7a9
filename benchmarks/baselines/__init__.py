"""Servers to compare with: one that does nothing, and one that locks rows."""
