"""How people and programs on this machine name what listens on an address."""

from __future__ import annotations

from typing import Final

_WILDCARDS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def reachable(host: str) -> str:
    """The host by which this machine reaches what listens on `host`, maybe on all addresses."""
    return _WILDCARDS.get(host, host)


def url_of(host: str, port: int) -> str:
    """The http address of what listens on `host`; an IPv6 address stands in brackets."""
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
