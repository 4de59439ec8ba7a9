"""Seat maps and holds."""
