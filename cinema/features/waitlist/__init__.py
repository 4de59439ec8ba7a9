"""Wait lists: customers who wait for seats of a showtime, and what they are offered."""
