"""External services, each behind a small protocol."""
