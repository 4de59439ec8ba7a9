"""Hints that nodes share through Redis."""
