"""Codes with which customers hold seats before sales open."""
