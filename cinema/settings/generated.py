"""The secrets of a development server: made once, kept in its data folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import msgspec

from cinema.settings.fields import Secret, Settings

_SIGNING_KEY_FILE = "jwt_secret_key"
_ADMIN_FILE = "control_token"
_ENCRYPTION_FILE = "encryption_keys"
_TICKETS_FILE = "ticket_signing_keys"
_SECRET_BYTES = 32


def with_jwt_secret(settings: Settings) -> Settings:
    """The settings with a signing key: the given one, else the one made once in `DATA_DIR`."""
    if settings.jwt_secret_key:
        return settings
    secret = _made_once(settings.data_dir / _SIGNING_KEY_FILE)
    return msgspec.structs.replace(settings, jwt_secret_key=secret)


def with_encryption_keys(settings: Settings) -> Settings:
    """The settings with keys for encrypted values: the given ones, else one made in `DATA_DIR`.

    If that file is lost, the values that were encrypted with its key are lost.
    """
    if settings.encryption_keys:
        return settings
    secret = _made_once(settings.data_dir / _ENCRYPTION_FILE)
    return msgspec.structs.replace(settings, encryption_keys=secret)


def with_ticket_keys(settings: Settings) -> Settings:
    """The settings with keys for tickets: the given ones, else one made in `DATA_DIR`.

    If that file is lost, no ticket that was printed before is let in.
    """
    if settings.ticket_signing_keys:
        return settings
    secret = _made_once(settings.data_dir / _TICKETS_FILE)
    return msgspec.structs.replace(settings, ticket_signing_keys=secret)


def with_control_token(settings: Settings) -> Settings:
    """The settings with an admin token: the given one, else the one made once in `DATA_DIR`.

    In production none is made.
    """
    if settings.control_token or settings.production:
        return settings
    secret = _made_once(settings.data_dir / _ADMIN_FILE)
    return msgspec.structs.replace(settings, control_token=secret)


def found_control_token(settings: Settings) -> Secret:
    """The admin token for a client with these settings: given, or made by a server; else empty."""
    if settings.control_token:
        return settings.control_token
    file = settings.data_dir / _ADMIN_FILE
    try:
        return Secret(file.read_text().strip(), file)
    except FileNotFoundError:
        return Secret()


def _made_once(path: Path) -> Secret:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(_SECRET_BYTES))
    return Secret(path.read_text().strip(), path)


def _write_once(path: Path, text: str) -> None:
    """Write the whole file with mode 0600, or keep the one that another start has made."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
