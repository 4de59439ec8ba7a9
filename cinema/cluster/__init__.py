"""Which node serves a showtime."""
