"""Failures of backups that people can correct themselves."""

from __future__ import annotations


class BackupError(Exception):
    """A backup or a restore cannot be done; the message says what to do."""
