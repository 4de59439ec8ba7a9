"""How an address of host and port is written."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """The host as it stands in an address: one of IPv6 in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def address_of(host: str, port: int) -> str:
    """`host:port`, as balancers, URLs and headers have it."""
    return f"{bracketed(host)}:{port}"
