"""Composition: the only package that wires the others together."""
