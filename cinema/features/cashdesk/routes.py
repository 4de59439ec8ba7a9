"""Routes of the cash desk."""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.cashdesk import examples
from cinema.features.cashdesk.service import CashDeskService
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
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Cash desk"
CLOSERS: Final = frozenset({MANAGER, ADMIN})


class DeskParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    desk: CashDeskService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/cash-sessions",
    operation_id="listCashSessions",
    summary="List cash sessions of a cinema, newest first",
    description="Staff see their own sessions, managers all of their cinema.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    query=SessionQuery,
    response=list[CashSession],
    response_example=[examples.SESSION],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_sessions(parts: DeskParts, context: RequestContext) -> Reply:
    """A page of sessions."""
    return listed(await parts.desk.sessions(context.principal, context.query))


@Operation(
    method="POST",
    path="/api/v1/cash-sessions",
    operation_id="openCashSession",
    summary="Open a till",
    description="One session at a time for each person and each till. Sales with the method "
    "`counter` go into it. It belongs to the business day that has not been closed yet.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=SessionInput,
    request_example=examples.SESSION_INPUT,
    response=CashSession,
    response_example=examples.SESSION,
    status=201,
    errors=("UNKNOWN_REFERENCE", "CASH_SESSION_OPEN", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def open_session(parts: DeskParts, context: RequestContext) -> Reply:
    """Open a session of the caller."""
    client = parts.door.client(context)
    session = await parts.desk.open(context.principal, context.body, client, context.request_key)
    return success(session, status=201)


@Operation(
    method="GET",
    path="/api/v1/cash-sessions/{cash_session_id}",
    operation_id="getCashSession",
    summary="Get a cash session",
    description="What should be in the drawer is told to managers, and to staff once they have "
    "counted.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=CashSession,
    response_example=examples.CLOSED,
    errors=("RETRY",),
)
async def get_session(parts: DeskParts, context: RequestContext) -> Reply:
    """One session."""
    (session_id,) = context.ids
    return success(await parts.desk.session(context.principal, session_id))


@Operation(
    method="GET",
    path="/api/v1/cash-sessions/{cash_session_id}/movements",
    operation_id="listCashMovements",
    summary="List what was moved in a cash session",
    description="The oldest first, at most 1000; sales are not among them.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=list[Movement],
    response_example=[examples.MOVEMENT],
    errors=("RETRY",),
)
async def list_movements(parts: DeskParts, context: RequestContext) -> Reply:
    """The movements of a session."""
    (session_id,) = context.ids
    return success(await parts.desk.movements(context.principal, session_id))


@Operation(
    method="POST",
    path="/api/v1/cash-sessions/{cash_session_id}/movements",
    operation_id="moveCash",
    summary="Put cash into a drawer, or take some out",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=MovementInput,
    request_example=examples.MOVEMENT_INPUT,
    response=Movement,
    response_example=examples.MOVEMENT,
    status=201,
    errors=("CASH_SESSION_CLOSED", "NOT_ENOUGH_CASH", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def move_cash(parts: DeskParts, context: RequestContext) -> Reply:
    """Move cash other than for a sale."""
    (session_id,) = context.ids
    client = parts.door.client(context)
    moved = await parts.desk.move(
        context.principal, session_id, context.body, client, context.request_key
    )
    return success(moved, status=201)


@Operation(
    method="POST",
    path="/api/v1/cash-sessions/{cash_session_id}/close",
    operation_id="closeCashSession",
    summary="Close a till",
    description="Count first: what should have been there is told in the answer.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=CloseInput,
    request_example=examples.CLOSE_INPUT,
    response=CashSession,
    response_example=examples.CLOSED,
    errors=("CASH_SESSION_CLOSED", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def close_session(parts: DeskParts, context: RequestContext) -> Reply:
    """Close a session with what was counted."""
    (session_id,) = context.ids
    client = parts.door.client(context)
    return success(
        await parts.desk.close(
            context.principal, session_id, context.body, client, context.request_key
        )
    )


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/business-days",
    operation_id="listBusinessDays",
    summary="List business days that were closed, newest first",
    tag=TAG,
    auth="bearer",
    roles=CLOSERS,
    query=DayQuery,
    response=list[BusinessDay],
    response_example=[examples.DAY],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_days(parts: DeskParts, context: RequestContext) -> Reply:
    """A page of closed days."""
    (cinema_id,) = context.ids
    return listed(await parts.desk.days(context.principal, cinema_id, context.query))


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/business-days/{date:text}",
    operation_id="getBusinessDay",
    summary="Get the report of a business day",
    tag=TAG,
    auth="bearer",
    roles=CLOSERS,
    response=BusinessDay,
    response_example=examples.DAY,
    errors=("RETRY",),
)
async def get_day(parts: DeskParts, context: RequestContext) -> Reply:
    """One closed day."""
    cinema_id, day = _day_of(context)
    return success(await parts.desk.day(context.principal, cinema_id, day))


@Operation(
    method="POST",
    path="/api/v1/cinemas/{cinema_id}/business-days/{date:text}/close",
    operation_id="closeBusinessDay",
    summary="Close a business day",
    description="All its cash sessions have to be closed, and all earlier days with sessions. Its "
    "report gets the next number of the cinema and never changes. Whoever opens a till "
    "afterwards works for the next day.",
    tag=TAG,
    auth="bearer",
    roles=CLOSERS,
    response=BusinessDay,
    response_example=examples.DAY,
    errors=(
        "IN_THE_FUTURE",
        "BUSINESS_DAY_CLOSED",
        "CASH_SESSION_OPEN",
        "EARLIER_DAY_OPEN",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
    idempotent=True,
)
async def close_day(parts: DeskParts, context: RequestContext) -> Reply:
    """Close a day for good."""
    cinema_id, day = _day_of(context)
    client = parts.door.client(context)
    return success(
        await parts.desk.close_day(context.principal, cinema_id, day, client, context.request_key)
    )


def _day_of(context: RequestContext) -> tuple[UUID, str]:
    cinema_id, day = context.params
    return UUID(bytes=cinema_id), day.decode()


ROUTES: Final = (
    list_sessions,
    open_session,
    get_session,
    list_movements,
    move_cash,
    close_session,
    list_days,
    get_day,
    close_day,
)
