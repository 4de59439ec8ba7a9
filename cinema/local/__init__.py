"""A Postgres, a Redis and nodes of our own on one machine."""
