"""Whose word counts about the client's address and scheme."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final

from multidict import istr

from cinema.http.request import Asked

FORWARDED_FOR: Final = istr("X-Forwarded-For")
FORWARDED_PROTO: Final = istr("X-Forwarded-Proto")


class TrustedProxies:
    """Networks whose `X-Forwarded-*` headers are believed; from anyone else they are ignored."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(ip_network(network, strict=False) for network in networks)

    def client_address(self, request: Asked) -> str:
        """The nearest address that no trusted proxy vouches for; empty if unknown."""
        address = request.remote or ""
        if not self._networks or not self._trusts(address):
            return address
        hops = ",".join(request.headers.getall(FORWARDED_FOR, ()))
        for hop in reversed(hops.split(",")):
            candidate = hop.strip()
            if not candidate:
                continue
            if not _is_address(candidate):
                return address
            address = candidate
            if not self._trusts(address):
                break
        return address

    def is_https(self, request: Asked) -> bool:
        """Whether the client itself speaks https, to us or to a trusted proxy."""
        if request.secure:
            return True
        if not self._networks or not self._trusts(request.remote or ""):
            return False
        schemes: str = request.headers.get(FORWARDED_PROTO, "")
        return schemes.rpartition(",")[2].strip().lower() == "https"

    def _trusts(self, address: str) -> bool:
        if not _is_address(address):
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._networks)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
