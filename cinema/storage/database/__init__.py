"""Postgres for everybody: pool, transactions, reads, migrations."""
