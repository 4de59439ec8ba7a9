"""Which proxies are trusted to tell the client's address and scheme."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from multidict import istr

from cinema.domain.addresses import ADDRESSES_KEPT, address_key, parsed_address, parsed_network
from cinema.http.connections.request import HttpRequest

FORWARDED_FOR: Final = istr("X-Forwarded-For")
FORWARDED_PROTO: Final = istr("X-Forwarded-Proto")

HOPS_KEPT_CHARS: Final = 256
"""Longest list of hops whose client is remembered: five addresses in IPv6."""

# Some proxies add the client's port: 192.0.2.7:51234, [2001:db8::7]:51234.
_WITH_PORT: Final = re.compile(r"(?:\[([^\]]*)\]|([0-9.]+))(?::[0-9]+)?")


class TrustedProxies:
    """Networks whose `X-Forwarded-*` headers are trusted; headers of others are ignored."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(parsed_network(network) for network in networks)
        self._key_behind = lru_cache(maxsize=ADDRESSES_KEPT)(self._key_of_hops)

    @property
    def are_none(self) -> bool:
        """Whether no proxy is trusted: then the peer itself is the client."""
        return not self._networks

    def client_address(self, request: HttpRequest) -> str:
        """The nearest address that is not a trusted proxy; empty if unknown."""
        remote = request.remote or ""
        return self._behind(remote, _hops(request)) if self._networks else remote

    def client_key(self, request: HttpRequest) -> str:
        """The form in which the client of a request is counted; cheap for a known client."""
        if self._networks:
            hops = _hops(request)
            # Longer lists are made up by a client; if kept, they would fill memory.
            key_of = self._key_behind if len(hops) <= HOPS_KEPT_CHARS else self._key_of_hops
            return key_of(request.remote or "", hops)
        return address_key(request.remote or "")

    def is_https(self, request: HttpRequest) -> bool:
        """Whether the client itself speaks https, to us or to a trusted proxy."""
        if request.secure:
            return True
        if not self._networks or not self._trusts(request.remote or ""):
            return False
        schemes: str = request.headers.get(FORWARDED_PROTO, "")
        return schemes.rpartition(",")[2].strip().lower() == "https"

    def _key_of_hops(self, remote: str, hops: str) -> str:
        return address_key(self._behind(remote, hops))

    def _behind(self, address: str, hops: str) -> str:
        if not self._trusts(address):
            return address
        for hop in reversed(hops.split(",")):
            candidate = _without_port(hop.strip())
            if not candidate:
                continue
            if parsed_address(candidate) is None:
                return address
            # A zone does not identify the client, and a client can make it as long as it likes.
            address = candidate.partition("%")[0]
            if not self._trusts(address):
                break
        return address

    def _trusts(self, address: str) -> bool:
        parsed = parsed_address(address)
        return parsed is not None and any(parsed in network for network in self._networks)


def _hops(request: HttpRequest) -> str:
    lines = request.headers.getall(FORWARDED_FOR, ())
    return lines[0] if len(lines) == 1 else ",".join(lines)


def _without_port(hop: str) -> str:
    found = _WITH_PORT.fullmatch(hop)
    return hop if found is None else found[1] or found[2] or ""
