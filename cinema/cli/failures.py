"""Failures that people can correct themselves, in one line, and exit codes of commands."""

from __future__ import annotations

import errno
import socket
from typing import Final

from cinema.backups.errors import BackupError
from cinema.cli.create_admin import AdminNotCreated
from cinema.cli.healthcheck import NotReady
from cinema.cluster.membership import AddressTaken
from cinema.cluster.node import DECLARED_DEAD_EXIT, DeclaredDead, SecretWrong
from cinema.local.data_dir import DataDirInUse
from cinema.local.postgres_home import EmbeddedPostgresError
from cinema.local.redis_server import LocalRedisError
from cinema.storage.database.durability import UnsafeDatabase, UnusableDatabase
from cinema.storage.database.migrate import MigrationError
from cinema.storage.database.pooler import UnfitPooler

FAILED: Final = 1

_PLAIN: Final = (
    AddressTaken,
    AdminNotCreated,
    BackupError,
    DataDirInUse,
    DeclaredDead,
    EmbeddedPostgresError,
    LocalRedisError,
    MigrationError,
    NotReady,
    SecretWrong,
    UnfitPooler,
    UnsafeDatabase,
    UnusableDatabase,
)


def plain_message(error: Exception) -> str | None:
    """One line for a failure that people can correct themselves; None for a bug."""
    if isinstance(error, _PLAIN):
        return str(error)
    return _message_of_system(error) if isinstance(error, OSError) else None


def exit_code(error: Exception) -> int:
    """The exit code of a command."""
    return DECLARED_DEAD_EXIT if isinstance(error, DeclaredDead) else FAILED


def _message_of_system(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        told = error.strerror or error
        return f"{told}; another server runs there, choose a port with --port or --control-port"
    if isinstance(error, socket.gaierror):
        return f"no such host: {error.strerror}"
    return str(error)
