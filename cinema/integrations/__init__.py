"""Services of others, each behind a small protocol."""
