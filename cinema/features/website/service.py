"""The built pages, read once."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from cinema.features.website.rules import ASSETS, CODINGS, NOT_BUILT, PAGE, TYPES, WORKERS, ending
from cinema.features.website.shapes import Site

BUILT: Final = Path(__file__).with_name("built")
"""Where `bin/web build` puts the pages; the package and the image carry them with it."""


class SiteFile(msgspec.Struct, frozen=True):
    """A file, its type, its tag, and its body in each coding that it has."""

    content_type: str
    tag: str
    body: bytes
    coded: tuple[tuple[str, bytes], ...] = ()

    def best(self, codings: frozenset[str]) -> tuple[str, bytes]:
        """The first coding of these that it has, with the body; "" for the plain one."""
        for coding, body in self.coded:
            if coding in codings:
                return coding, body
        return "", self.body


class WebsiteService:
    """The pages in a folder; without it, one page that says so."""

    def __init__(self, site: Site, folder: Path = BUILT) -> None:
        self.site = site
        self.is_built = (folder / PAGE).is_file()
        self._workers: dict[str, SiteFile] = {}
        self._assets: dict[str, SiteFile] = {}
        if not self.is_built:
            self.page = _file(PAGE, NOT_BUILT.encode())
            return
        self.page = _read(folder / PAGE)
        # Pages that an earlier version has built have none.
        self._workers = {
            name: _read(folder / name) for name in WORKERS if (folder / name).is_file()
        }
        for path in sorted((folder / ASSETS).iterdir()):
            if ending(path.name) in TYPES:
                self._assets[path.name] = _read(path)

    def asset(self, name: str) -> SiteFile | None:
        """A file that the page names."""
        return self._assets.get(name)

    def worker(self, name: str) -> SiteFile | None:
        """What starts pages of one kind without a connection."""
        return self._workers.get(name)


def _read(path: Path) -> SiteFile:
    coded = [
        (coding, beside.read_bytes())
        for coding, suffix in CODINGS
        if (beside := path.with_name(path.name + suffix)).is_file()
    ]
    return _file(path.name, path.read_bytes(), tuple(coded))


def _file(name: str, body: bytes, coded: tuple[tuple[str, bytes], ...] = ()) -> SiteFile:
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return SiteFile(TYPES[ending(name)], tag, body, coded)
