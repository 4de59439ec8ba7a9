"""A seat reservation server: one actor a showtime, written through to Postgres."""
