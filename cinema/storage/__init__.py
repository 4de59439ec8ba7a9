"""Postgres, and an equivalent in memory; the only package that uses asyncpg."""
