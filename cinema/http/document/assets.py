"""The reference page and its files: served from the package, readable without a network."""

from __future__ import annotations

from hashlib import blake2b
from importlib.resources import files
from typing import Final

from cinema.domain.rejections import refuse
from cinema.http.conditional import tagged
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply
from cinema.http.routes import Operation

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_FOLDER: Final = "static"


class Asset:
    """One file, read once; its tag changes when the file does."""

    __slots__ = ("body", "medium", "tag")

    def __init__(self, name: str) -> None:
        self.body = files("cinema.http.document").joinpath(_FOLDER, name).read_bytes()
        self.tag = content_tag(self.body)
        self.medium = Medium(
            content_type=_TYPES[name[name.rindex(".") :]],
            cache_control="no-cache",
            content_security_policy=_POLICY,
        )

    def answer(self, context: RequestContext) -> Reply:
        """The file, or 304."""
        return tagged(context.request, self.tag, self.body, self.medium)


def content_tag(body: bytes) -> str:
    """An `ETag` for this content."""
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'


class ReferencePage:
    """The page and its files."""

    def __init__(self) -> None:
        self.page = Asset("docs.html")
        self.files = {name: Asset(name) for name in ("docs.css", "docs.js", "icon.svg")}


@Operation(
    method="GET",
    path="/docs",
    operation_id="docs",
    summary="The reference page",
    tag="Operations",
    hidden=True,
)
async def docs(reference: ReferencePage, context: RequestContext) -> Reply:
    """The page."""
    return reference.page.answer(context)


@Operation(
    method="GET",
    path="/static/{name:text}",
    operation_id="static",
    summary="Files of the reference page",
    tag="Operations",
    hidden=True,
)
async def static(reference: ReferencePage, context: RequestContext) -> Reply:
    """One of its files."""
    (name,) = context.params
    asset = reference.files.get(name.decode())
    if asset is None:
        raise refuse("NOT_FOUND")
    return asset.answer(context)


ROUTES: Final = (docs, static)
