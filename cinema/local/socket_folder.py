"""Folders for Unix sockets, for their owner only, with a path that is short enough."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

_LONGEST_SOCKET_BYTES = 107  # sockaddr_un.sun_path without its closing zero


class SocketFolderError(Exception):
    """The path exists and is not a folder that belongs to us alone."""


def short_folder(wanted: Path, socket_name: str, uid: int, *, refused: frozenset[str]) -> Path:
    """`wanted`, or where its path is too long or has a refused character, one with a short name.

    The other one is in the temporary directory and always the same for the same `wanted`.
    """
    length_bytes = len(os.fsencode(wanted / socket_name))
    if length_bytes <= _LONGEST_SOCKET_BYTES and not refused & set(str(wanted)):
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"cinema-{uid}-{digest}"


def make_private_folder(folder: Path, uid: int, gid: int) -> None:
    """Make the folder, or accept the existing one only if it is really that user's alone."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        if os.geteuid() == 0:
            os.chown(folder, uid, gid)
    status = folder.lstat()
    private = stat.S_ISDIR(status.st_mode) and not stat.S_IMODE(status.st_mode) & 0o077
    if not private or status.st_uid != uid:
        raise SocketFolderError(
            f"{folder} must be a folder of user {uid} that no one else may enter; remove it"
        )
