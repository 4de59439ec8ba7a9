"""Origins as browsers send them: one spelling each, compared byte by byte."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def problem_of_origin(text: str) -> str | None:
    """Why no browser sends `text` in the header Origin; None if browsers do (RFC 6454, 6.2)."""
    if not text.startswith(("http://", "https://")):
        return "does not begin with http:// or https://"
    sent = origin_of(text)
    if sent is None:
        return "is not an origin"
    return None if text == sent else f"never matches: browsers write {sent}"


def origin_of(url: str) -> str | None:
    """How browsers write the origin of a page at `url`, of http or https; None if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in _DEFAULT_PORTS:
        return None
    if not host.isascii():
        host = _ascii(host)
        if host is None:
            return None
    name = f"[{host}]" if ":" in host else host
    if port is None or port == _DEFAULT_PORTS[parts.scheme]:
        return f"{parts.scheme}://{name}"
    return f"{parts.scheme}://{name}:{port}"


def _ascii(host: str) -> str | None:
    """A host name with non-ASCII letters, in the form that browsers send."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return None
