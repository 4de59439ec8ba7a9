"""The written form of an address with host and port."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """The host in the form for addresses: an IPv6 address in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def address_of(host: str, port: int) -> str:
    """`host:port`, the form of balancers, URLs and headers."""
    return f"{bracketed(host)}:{port}"
