"""Which addresses a stranger may have us connect to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# Networks whose lower bits are an IPv4 address, with how far up that stands (RFC 4291, 6052, 8215).
_CARRIERS: Final = (
    (IPv6Network("::/96"), 0),
    (IPv6Network("::ffff:0:0/96"), 0),
    (IPv6Network("::ffff:0:0:0/96"), 0),
    (IPv6Network("64:ff9b::/96"), 0),
    (IPv6Network("2002::/16"), 80),
)
# What is not for strangers though some version of Python counts it as public: translation with a
# prefix of the site's own, special purposes and Teredo, 6to4 relays, and what was site-local.
_NOT_PUBLIC: Final = (
    IPv6Network("64:ff9b:1::/48"),
    IPv6Network("2001::/23"),
    IPv6Network("fec0::/10"),
    IPv4Network("192.88.99.0/24"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("0.0.0.0/8"),
    IPv4Network("192.0.0.0/24"),
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """The networks of a setting. Raises `ValueError`."""
    return tuple(ip_network(text, strict=False) for text in texts)


def is_allowed(text: str, allowed: Sequence[Network]) -> bool:
    """Whether this address is on the public network, or in a network that an operator allows."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _carried(address)
    return is_within(text, allowed) or (
        _is_public(address) and (inner is None or _is_public(inner))
    )


def is_within(text: str, allowed: Sequence[Network]) -> bool:
    """Whether an operator allows this very address."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in allowed)


def _carried(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv6Address):
        for network, above in _CARRIERS:
            if address in network:
                return IPv4Address(int(address) >> above & 0xFFFF_FFFF)
    return None


def _is_public(address: Address) -> bool:
    inner = _carried(address)
    if inner is not None:
        # What stands around it says nothing; versions of Python do not agree about it.
        return _is_public(inner)
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not any(address in network for network in _NOT_PUBLIC)
    )
