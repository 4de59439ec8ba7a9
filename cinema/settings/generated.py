"""The signing key of a development server: made once, kept in its data folder."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import msgspec

from cinema.settings.fields import Secret, Settings

_FILE = "jwt_secret_key"
_SECRET_BYTES = 32


def with_jwt_secret(settings: Settings) -> Settings:
    """The settings with a signing key: the given one, else the one made once in `DATA_DIR`."""
    if settings.jwt_secret_key:
        return settings
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    path = settings.data_dir / _FILE
    if not path.exists():
        _write_once(path, secrets.token_urlsafe(_SECRET_BYTES))
    return msgspec.structs.replace(settings, jwt_secret_key=Secret(path.read_text().strip()))


def _write_once(path: Path, text: str) -> None:
    """Give the file its whole text or leave the one another start has made; mode 0600."""
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
