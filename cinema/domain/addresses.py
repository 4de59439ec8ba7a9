"""The form in which client addresses are counted, the same for all spellings."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

ADDRESSES_KEPT: Final = 8192
"""Spellings whose form is remembered; parsing one takes longer than the rest of a throttle."""

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
