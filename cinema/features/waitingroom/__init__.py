"""Waiting rooms: who may choose seats of a showtime when more come than it can serve."""
