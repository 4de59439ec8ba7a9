"""The cash desk: sessions at tills, cash that moves, and the close of business days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from uuid import UUID

import msgspec

from cinema.domain.cursors import encode_cursor
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_NUMBER, BY_TEXT, Page, after, page
from cinema.domain.principal import ADMIN, MANAGER, Principal
from cinema.domain.rejections import refuse
from cinema.features.accounts.authority import require_own_cinema, serves
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.cashdesk.day_store import BusinessDaysRepository
from cinema.features.cashdesk.shapes import (
    BusinessDay,
    CashSession,
    CloseInput,
    DayQuery,
    Movement,
    MovementInput,
    SessionInput,
    SessionQuery,
)
from cinema.features.cashdesk.store import CashSessionsRepository
from cinema.features.refusals import found, granted
from cinema.integrations.fiscal import FiscalSigner

NUMBERS_END = 2**62


class CashDeskService:
    """Use cases of the cash desk; each refuses with a code of `docs/errors.md`.

    Staff work with sessions of their own; managers of the cinema and admins with all of them.
    """

    def __init__(
        self,
        sessions: CashSessionsRepository,
        days: BusinessDaysRepository,
        signer: FiscalSigner,
        *,
        new_id: Callable[[], bytes],
        now: Callable[[], datetime],
    ) -> None:
        self._sessions = sessions
        self._days = days
        self._signer = signer
        self._new_id = new_id
        self._now = now

    async def open(
        self, by: Principal, request: SessionInput, client: Client, key: IdempotencyKey | None
    ) -> CashSession:
        """Open a till.

        Refuses FORBIDDEN, UNKNOWN_REFERENCE, VALIDATION_ERROR, CASH_SESSION_OPEN.
        """
        if not serves(by, request.cinema_id):
            raise refuse("FORBIDDEN", "You do not work at this cinema.")
        return await self._sessions.open(
            UUID(bytes=self._new_id()), request, self._act(by, client), key
        )

    async def sessions(self, by: Principal, query: SessionQuery) -> Page[CashSession]:
        """Sessions of a cinema, newest first; staff see their own. Refuses FORBIDDEN."""
        if not serves(by, query.cinema_id):
            raise refuse("FORBIDDEN", "You do not work at this cinema.")
        position = granted(after(query.cursor, BY_TEXT))
        rows = await self._sessions.of_cinema(
            query.cinema_id,
            None if _manages(by) else UUID(bytes=by.user_id),
            is_open=None if query.status is None else query.status == "open",
            day=query.business_date,
            before=None if position is None else position[1],
            limit=query.limit + 1,
        )
        return page(rows, query.limit, lambda session: ("", session.id))

    async def session(self, by: Principal, session_id: UUID) -> CashSession:
        """A session. Refuses NOT_FOUND, also for those of others."""
        session = found(await self._sessions.find(session_id, with_expected=_manages(by)))
        own = session.opened_by.bytes == by.user_id
        if not serves(by, session.cinema_id) or not (own or _manages(by)):
            raise refuse("NOT_FOUND")
        return session

    async def movements(self, by: Principal, session_id: UUID) -> list[Movement]:
        """What was moved in a session. Refuses NOT_FOUND."""
        await self.session(by, session_id)
        return await self._sessions.movements(session_id)

    async def move(
        self,
        by: Principal,
        session_id: UUID,
        request: MovementInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> Movement:
        """Put cash into a drawer, or take some out.

        Refuses NOT_FOUND, CASH_SESSION_CLOSED, VALIDATION_ERROR, NOT_ENOUGH_CASH.
        """
        await self.session(by, session_id)
        return await self._sessions.move(
            UUID(bytes=self._new_id()), session_id, request, self._act(by, client), key
        )

    async def close(
        self,
        by: Principal,
        session_id: UUID,
        request: CloseInput,
        client: Client,
        key: IdempotencyKey | None,
    ) -> CashSession:
        """Close a session with what was counted.

        Refuses NOT_FOUND, CASH_SESSION_CLOSED, VALIDATION_ERROR, RETRY.
        """
        await self.session(by, session_id)
        return await self._sessions.close(session_id, request, self._act(by, client), key)

    async def days(self, by: Principal, cinema_id: UUID, query: DayQuery) -> Page[BusinessDay]:
        """Closed days of a cinema, newest first. Refuses FORBIDDEN."""
        require_own_cinema(by, cinema_id)
        position = granted(after(query.cursor, BY_NUMBER))
        before = NUMBERS_END if position is None else position[0]
        rows = await self._days.days(cinema_id, before, query.limit + 1)
        items = rows[: query.limit]
        more = len(rows) > query.limit
        cursor = encode_cursor(items[-1].report.number, cinema_id) if more else None
        return Page(items=items, next_cursor=cursor)

    async def day(self, by: Principal, cinema_id: UUID, day: str) -> BusinessDay:
        """The report of a day. Refuses NOT_FOUND, FORBIDDEN."""
        require_own_cinema(by, cinema_id)
        return found(await self._days.day(cinema_id, _day(day)))

    async def close_day(
        self,
        by: Principal,
        cinema_id: UUID,
        day: str,
        client: Client,
        key: IdempotencyKey | None,
    ) -> BusinessDay:
        """Close a business day.

        Refuses NOT_FOUND, FORBIDDEN, IN_THE_FUTURE, BUSINESS_DAY_CLOSED, CASH_SESSION_OPEN,
        EARLIER_DAY_OPEN.
        """
        require_own_cinema(by, cinema_id)

        async def sign(report: bytes) -> str | None:
            signature = await self._signer.sign("business_day", report)
            return None if signature is None else msgspec.json.encode(signature).decode()

        return await self._days.close_day(cinema_id, _day(day), self._act(by, client), key, sign)

    def _act(self, by: Principal, client: Client) -> Act:
        return Act(
            by=UUID(bytes=by.user_id),
            at=self._now(),
            client=client,
            entry_id=UUID(bytes=self._new_id()),
        )


def _manages(by: Principal) -> bool:
    return by.role in {MANAGER, ADMIN}


def _day(text: str) -> date:
    """A date in a path. Refuses NOT_FOUND for anything else, as for a wrong id."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise refuse("NOT_FOUND") from None
    if day.isoformat() != text:
        raise refuse("NOT_FOUND")
    return day
