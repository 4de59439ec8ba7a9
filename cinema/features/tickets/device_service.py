"""Scanners: added and revoked by managers, and known by their tokens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

from cinema.domain.paging import BY_TEXT, Page, PageQuery, after, page
from cinema.domain.principal import ADMIN, MANAGER, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.refusals import found, granted
from cinema.features.tickets.device_store import DevicesRepository
from cinema.features.tickets.rules import Scanner
from cinema.features.tickets.shapes import Device, NewDevice

TOKEN_BYTES: Final = 32
PREFIX: Final = "scanner_"
"""Tokens say what they are, to people and to programs that look for lost secrets."""

STAFF_NAME: Final = "staff"


class DevicesService:
    """Use cases of scanners; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        devices: DevicesRepository,
        *,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._new_id = new_id
        self._now = now

    async def add(self, by: Principal, cinema_id: UUID, name: str, client: Client) -> NewDevice:
        """A new scanner of a cinema, with its token. Refuses FORBIDDEN, NOT_FOUND."""
        require_own_cinema(by, cinema_id)
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        device = await self._devices.add(
            self._new_id(), cinema_id, name, digest_of(token), self._act(by, client)
        )
        return NewDevice(device=found(device), token=token)

    async def list(self, by: Principal, cinema_id: UUID, query: PageQuery) -> Page[Device]:
        """The scanners of a cinema. Refuses FORBIDDEN."""
        require_own_cinema(by, cinema_id)
        position = granted(after(query.cursor, BY_TEXT))
        last = UUID(int=0) if position is None else position[1]
        rows = await self._devices.of_cinema(cinema_id, last, query.limit + 1)
        return page(rows, query.limit, lambda one: ("", one.id))

    async def revoke(self, by: Principal, device_id: UUID, client: Client) -> Device:
        """Take a scanner out of use; one that already is stays as it is. Refuses NOT_FOUND."""
        known = found(await self._devices.find(device_id))
        if by.role != ADMIN and known.cinema_id.bytes not in by.cinema_ids:
            raise refuse("NOT_FOUND")
        return await self._devices.revoke(device_id, self._act(by, client)) or known

    async def scanner(
        self, caller: Principal | None, token: str, device_id: UUID | None = None
    ) -> Scanner:
        """Who scans: somebody who has signed in, or the scanner with a token.

        Staff may say at which scanner of their cinema they stand. Refuses UNAUTHENTICATED,
        UNKNOWN_REFERENCE.
        """
        if caller is None:
            return scanner_of(await self._devices.by_token(digest_of(token)), device_id)
        everywhere = caller.role == ADMIN
        cinemas = frozenset(UUID(bytes=one) for one in caller.cinema_ids)
        name = STAFF_NAME
        if device_id is not None:
            at = await self._devices.find(device_id)
            if at is None or not (everywhere or at.cinema_id in cinemas):
                text = "Your cinema has no such scanner."
                raise refuse("UNKNOWN_REFERENCE", text, path="$.device_id")
            name = at.name
        return Scanner(
            id=UUID(bytes=caller.user_id),
            name=name,
            cinema_ids=None if everywhere else cinemas,
            manages=caller.role in {MANAGER, ADMIN},
        )

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id()
        )


def scanner_of(known: Device | None, device_id: UUID | None) -> Scanner:
    """The scanner with a token, if it has one and says no other name of itself.

    Refuses UNAUTHENTICATED, UNKNOWN_REFERENCE.
    """
    if known is None:
        raise refuse("UNAUTHENTICATED", reason="UNKNOWN_DEVICE")
    if device_id not in {None, known.id}:
        raise refuse("UNKNOWN_REFERENCE", "This is another scanner.", path="$.device_id")
    return Scanner(
        id=known.id,
        name=known.name,
        cinema_ids=frozenset({known.cinema_id}),
        is_device=True,
    )


def digest_of(token: str) -> bytes:
    """What is kept of a token: as it has 256 random bits, nobody finds it from this."""
    return sha256(token.encode(errors="replace")).digest()
