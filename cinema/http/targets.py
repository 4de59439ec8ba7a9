"""The forms of a request's target (RFC 9112, 3.2)."""

from __future__ import annotations

import re
from typing import Final

_ABSOLUTE: Final = re.compile(r"https?://([^/?#@]+)(?=[/?#]|$)", re.IGNORECASE)


def origin_form(target: str) -> str:
    """Path and query of a target; of what is no http address the target itself.

    Clients name the whole address to a proxy, and servers must take that too (3.2.2). Whose
    address it is, is not looked at, as `Host` is not.
    """
    if target[:1] == "/":
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest[:1] == "/" else f"/{rest}"


def authority(target: str, host: str | None) -> str | None:
    """Host and port that a request is for: those of its target go before the header `Host`."""
    absolute = _ABSOLUTE.match(target)
    return host if absolute is None else absolute[1]


def is_whole_server(target: str) -> bool:
    """Whether OPTIONS of this target asks about the server as such (3.2.4)."""
    return target == "*" or (target[:1] != "/" and origin_form(target) == "/")
