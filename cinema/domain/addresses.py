"""The form in which client addresses are counted, the same for all spellings."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

ADDRESSES_KEPT: Final = 8192
"""Spellings whose form is remembered; parsing one takes longer than the rest of a throttle."""

MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""Where IPv6 has the addresses of IPv4 (RFC 4291, section 2.5.5.2)."""

SUBSCRIBER_BITS: Final = 64
"""Lower bits of an IPv6 address that a subscriber chooses freely (RFC 4291, section 2.5.1)."""


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in a text (IPv4 if it is mapped into IPv6); None if it is not an address."""
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped


def parsed_network(text: str) -> IPv4Network | IPv6Network:
    """The network in a text (IPv4 if it is mapped into IPv6); raises `ValueError`."""
    network = ip_network(text, strict=False)
    if not isinstance(network, IPv6Network) or not network.subnet_of(MAPPED):
        return network
    return IPv4Network((network.network_address.packed[-4:], network.prefixlen - MAPPED.prefixlen))


@lru_cache(maxsize=ADDRESSES_KEPT)
def address_key(text: str) -> str:
    """The form under which a client is counted: an IPv4 address, or the /64 of an IPv6 one.

    All texts that are not an address count as one client, the empty text.
    """
    parsed = parsed_address(text)
    if isinstance(parsed, IPv6Address):
        network = IPv6Address(int(parsed) >> SUBSCRIBER_BITS << SUBSCRIBER_BITS)
        return f"{network}/{SUBSCRIBER_BITS}"
    return "" if parsed is None else str(parsed)
