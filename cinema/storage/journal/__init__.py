"""The journal of showtimes, in Postgres and in memory."""
