"""Origins as browsers send them: one spelling each, compared byte by byte."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def problem_of_origin(text: str) -> str | None:
    """Why no browser sends `text` in the header Origin; None if browsers do (RFC 6454, 6.2)."""
    if not text.startswith(("http://", "https://")):
        return "does not begin with http:// or https://"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not an origin"
    if not host:
        return "is not an origin"
    if not host.isascii():
        host = _ascii(host)
        if host is None:
            return "is not an origin"
    name = f"[{host}]" if ":" in host else host
    sent = f"{parts.scheme}://{name}"
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        sent += f":{port}"
    return None if text == sent else f"never matches: browsers write {sent}"


def _ascii(host: str) -> str | None:
    """A host name with non-ASCII letters, in the form that browsers send."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return None
