"""Base backups, the WAL archive, and restoring from them."""
