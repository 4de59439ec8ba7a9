"""A seat reservation server: one actor a showtime, written through to Postgres."""

__version__ = "0.1.0"
