"""The showtime: its commands, events, state and decisions."""
