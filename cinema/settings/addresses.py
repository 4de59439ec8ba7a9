"""Addresses by which people and programs on this machine reach a listener."""

from __future__ import annotations

from typing import Final

_WILDCARDS: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def reachable(host: str) -> str:
    """The host by which this machine reaches a listener on `host`, which may be all addresses."""
    return _WILDCARDS.get(host, host)


def url_of(host: str, port: int) -> str:
    """The http address of a listener on `host`; an IPv6 address is put in brackets."""
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
