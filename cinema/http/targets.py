"""The forms of a request's target, and the host it is for (RFC 9112, 3.2)."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

from multidict import istr

HOST: Final = istr("Host")

_ABSOLUTE: Final = re.compile(r"https?://([^/?#@]+)(?=[/?#]|$)", re.IGNORECASE)

_HOST: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|\[v[0-9a-f]+\.[a-z0-9._~!$&'()*+,;=:-]+\]"
    r"|(?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2})+)(?::[0-9]*)?",
    re.ASCII | re.IGNORECASE,
)
"""The grammar of `Host`: that of RFC 3986 (3.2.2), without an empty name (RFC 9110, 4.2.1)."""

HOSTS_KEPT: Final = 256
"""Valid values of `Host` that are remembered; a server has few names."""


class Hosts:
    """Knows which values of `Host` are well-formed; those seen before are `known`."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        # Clients of HTTP/1.0 need not send it; from the others the parser requires it.
        self.known: set[str | None] = {None}

    def __len__(self) -> int:
        return len(self.known)

    def is_valid(self, host: str | None) -> bool:
        """Whether this names a host, None standing for no header at all."""
        if host in self.known:
            return True
        if not is_host(host or ""):
            return False
        if len(self.known) > HOSTS_KEPT:
            self.known = {None}
        self.known.add(host)
        return True


def is_host(text: str) -> bool:
    """Whether this is a host with or without a port."""
    match = _HOST.fullmatch(text)
    if match is None:
        return False
    address = match["v6"]
    if address is not None:
        try:
            IPv6Address(address)
        except ValueError:
            return False
    return True


def origin_form(target: str) -> str:
    """The path and query of a target that is an http address; any other target itself.

    Clients send the whole address to a proxy, and servers must accept that too (3.2.2). The address
    is not checked, just as `Host` is not.
    """
    if target[:1] == "/":
        return target
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        return target
    rest = target[absolute.end() :]
    return rest if rest[:1] == "/" else f"/{rest}"


def authority(target: str, host: str | None) -> str | None:
    """Host and port of a request: those of its target, or else those of the header `Host`."""
    absolute = _ABSOLUTE.match(target)
    return host if absolute is None else absolute[1]


def is_whole_server(target: str) -> bool:
    """Whether OPTIONS of this target asks about the server itself (3.2.4)."""
    return target == "*" or (target[:1] != "/" and origin_form(target) == "/")
