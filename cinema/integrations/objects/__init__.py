"""Files beside the database that all nodes see: in a folder, or in an object store."""

from __future__ import annotations

import re
from typing import Final, Protocol

NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,127}")
"""Names of objects: they are files too, and parts of addresses."""


class ObjectsUnavailable(Exception):
    """The store cannot be reached, is full, or refuses us; nothing is known of what was asked."""


class ObjectStore(Protocol):
    """Keeps whole contents by name. A name is written once or always with the same content."""

    async def put(self, name: str, content: bytes, media_type: str) -> None:
        """Keep a content, whole and for good, or not at all. Raises `ObjectsUnavailable`."""

    async def get(self, name: str) -> bytes | None:
        """A content; None if there is none. Raises `ObjectsUnavailable`."""

    async def delete(self, name: str) -> None:
        """Keep it no longer, if it was there. Raises `ObjectsUnavailable`."""


def checked(name: str) -> str:
    """`name`, unless it could lead elsewhere: names are made by us, so that would be a bug."""
    if not NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"{name!r} is not the name of an object")
    return name
