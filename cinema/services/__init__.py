"""Use cases over actors and storage."""
