"""Metrics, access log and logging."""
