"""The page of waiting rooms: three files, alone, that may as well be kept on another server."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

import msgspec

_TYPES: Final = {
    "queue.html": "text/html; charset=utf-8",
    "queue.css": "text/css; charset=utf-8",
    "queue.js": "text/javascript; charset=utf-8",
}


class PageFile(msgspec.Struct, frozen=True):
    """A file of the page."""

    content_type: str
    body: bytes


def page_files() -> dict[str, PageFile]:
    """The files by their names; together they are below 20 KB, and name no other address."""
    folder = files("cinema.features.waitingroom").joinpath("page")
    return {
        name: PageFile(content_type, folder.joinpath(name).read_bytes())
        for name, content_type in _TYPES.items()
    }
