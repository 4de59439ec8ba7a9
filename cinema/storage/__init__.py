"""Postgres and its in-memory twin; the only room that knows asyncpg."""
