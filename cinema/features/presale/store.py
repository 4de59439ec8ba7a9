"""Presale codes in Postgres, and the holds for which they were used.

A use is taken by updates that each have their bound as a condition: of two at the same moment the
second waits for the row and then finds the bound. Nothing is counted first and locked afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from uuid import UUID

from cinema.domain.rejections import Refused, refuse
from cinema.features.presale.shapes import PresaleCode, PresaleInput, PresaleTerms
from cinema.features.refusals import found
from cinema.storage.database.driver import Record
from cinema.storage.database.transactions import Pool, PooledConnection, connection, transaction

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_CODE: Final = "id, showtime_id, code, starts_at, max_uses, uses_per_customer, uses, version"
_SHOWTIME: Final = "select cinema_id from showtimes where id = $1"
_LIST: Final = f"""
select {_CODE} from presale_codes where showtime_id = $1 and deleted_at is null
order by created_at, id limit {{limit}}"""
_ADD: Final = f"""
insert into presale_codes (
    id, showtime_id, code, code_key, starts_at, max_uses, uses_per_customer, created_at, created_by
)
select $1, $2, $3, $4, $5, $6, $7, $8, $9
where (select count(*) from presale_codes where showtime_id = $2 and deleted_at is null) < $10
on conflict (showtime_id, code_key) where deleted_at is null do nothing
returning {_CODE}"""
_KNOWN: Final = """
select exists (
    select from presale_codes where showtime_id = $1 and code_key = $2 and deleted_at is null
)"""
_CHANGE: Final = f"""
update presale_codes set starts_at = $6, max_uses = $7, uses_per_customer = $8, updated_at = $4,
    updated_by = $5, version = version + 1
where id = $1 and showtime_id = $2 and deleted_at is null and version = any($3::int[])
returning {_CODE}"""
_DELETE: Final = """
update presale_codes set deleted_at = $4, updated_at = $4, updated_by = $5, version = version + 1
where id = $1 and showtime_id = $2 and deleted_at is null and version = any($3::int[])
returning true"""
_VERSION: Final = """
select version from presale_codes where id = $1 and showtime_id = $2 and deleted_at is null"""

_IS_OPEN: Final = "select sales_opens_at <= $2 from showtimes where id = $1"
# A repetition in that time has the hold of the first request, whose answer the showtime still
# knows, and is under way for as long as that one was.
_USED_ALREADY: Final = """
update presale_uses
set look_at = greatest(look_at + interval '1 microsecond', $3)
where id = $1 and look_at is not null and used_at > $2
returning hold_id"""
_USED_BEFORE: Final = "select true from presale_uses where id = $1"
_USE: Final = """
update presale_codes set uses = uses + 1
where showtime_id = $1 and code_key = $2 and deleted_at is null and starts_at <= $3
    and uses < max_uses
returning id, uses_per_customer"""
_USE_OF_CUSTOMER: Final = """
insert into presale_customers as mine (code_id, customer_id, uses) values ($1, $2, 1)
on conflict (code_id, customer_id) do update set uses = mine.uses + 1 where mine.uses < $3
returning true"""
_NOTE_USE: Final = """
insert into presale_uses (id, code_id, showtime_id, customer_id, hold_id, used_at, look_at)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (id) do nothing
returning true"""
_WHY_NOT: Final = """
select case
    when starts_at > $3 then 'not_yet'
    else 'used_up'
end
from presale_codes where showtime_id = $1 and code_key = $2 and deleted_at is null"""
_GIVE_BACK: Final = """
with gone as (
    delete from presale_uses where id = $1 and look_at <= $2 returning code_id, customer_id
), of_customer as (
    update presale_customers mine set uses = mine.uses - 1
    from gone where mine.code_id = gone.code_id and mine.customer_id = gone.customer_id
)
update presale_codes code set uses = code.uses - 1 from gone where code.id = gone.code_id"""
# Nodes that do this at the same time take different rows. Those of one that dies are due at $2.
_CLAIM: Final = """
update presale_uses set look_at = $2
where id = any(array(
    select id from presale_uses where look_at <= $1 order by look_at limit $3
    for update skip locked
))
returning id, showtime_id, customer_id, hold_id"""
_HOLDER: Final = "select user_id from bookings where showtime_id = $1 and hold_id = $2"
_LOOK_AGAIN: Final = "update presale_uses set look_at = $2 where id = $1 and look_at is not null"
_FORGET: Final = """
delete from presale_codes where id in (
    select code.id from presale_codes code
    join showtimes showtime on showtime.id = code.showtime_id
    where showtime.ends_at < $1 limit $2
)"""

CODES_OF_SHOWTIME: Final = 500

LOOK_AFTER: Final = timedelta(seconds=60)
"""When a use is looked at whose hold nobody has heard of: no command is under way for so long."""

REPEATED_FOR: Final = timedelta(hours=1)
"""So long a repetition gets the same hold; less than showtimes know the answers to keys."""

KEPT: Final = timedelta(days=30)
"""For so long after the showtime its codes are kept."""

Why = Literal["unknown", "not_yet", "used_up", "used_by_you"]


class Use(NamedTuple):
    """A hold for which a code was used."""

    id: UUID
    showtime_id: UUID
    customer_id: UUID
    hold_id: UUID


class _NotUsed(Exception):
    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why: Why = why


class PresaleRepository:
    """Reads and writes codes and their uses."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def cinema_of(self, showtime_id: UUID) -> UUID:
        """Where a showtime is. Refuses NOT_FOUND, RETRY."""
        async with connection(self._pool) as reading:
            cinema_id: UUID | None = await reading.fetchval(_SHOWTIME, showtime_id)
        return found(cinema_id)

    async def list(self, showtime_id: UUID) -> list[PresaleCode]:
        """The codes of a showtime, the oldest first. Refuses RETRY."""
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_LIST.format(limit=CODES_OF_SHOWTIME), showtime_id)
        return [_code(row) for row in rows]

    async def add(
        self,
        code_id: UUID,
        showtime_id: UUID,
        request: PresaleInput,
        key: str,
        by: UUID,
        now: datetime,
    ) -> PresaleCode:
        """A new code. Refuses NAME_TAKEN, VALIDATION_ERROR, RETRY, OUTCOME_UNKNOWN."""
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(
                *(_ADD, code_id, showtime_id, request.code, key, request.starts_at),
                *(request.max_uses, request.uses_per_customer, now, by, CODES_OF_SHOWTIME),
            )
            if row is None and await writing.fetchval(_KNOWN, showtime_id, key):
                raise refuse("NAME_TAKEN", "There is such a code already.", path="$.code")
            if row is None:
                text = f"A showtime has at most {CODES_OF_SHOWTIME} codes."
                raise refuse("VALIDATION_ERROR", text, path="$")
        return _code(row)

    async def change(
        self,
        code_id: UUID,
        showtime_id: UUID,
        terms: PresaleTerms,
        seen: Collection[int],
        now: datetime,
        by: UUID,
    ) -> PresaleCode:
        """A code as it is from now on.

        Refuses NOT_FOUND, PRECONDITION_FAILED, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            row = await writing.fetchrow(
                *(_CHANGE, code_id, showtime_id, list(seen), now, by, terms.starts_at),
                *(terms.max_uses, terms.uses_per_customer),
            )
            if row is None:
                raise await self._unseen(writing, code_id, showtime_id)
        return _code(row)

    async def delete(
        self, code_id: UUID, showtime_id: UUID, seen: Collection[int], now: datetime, by: UUID
    ) -> None:
        """Nobody can use it from now on.

        Refuses NOT_FOUND, PRECONDITION_FAILED, RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            gone = await writing.fetchval(_DELETE, code_id, showtime_id, list(seen), now, by)
            if gone is None:
                raise await self._unseen(writing, code_id, showtime_id)

    async def _unseen(self, writing: PooledConnection, code_id: UUID, showtime_id: UUID) -> Refused:
        version: int = found(await writing.fetchval(_VERSION, code_id, showtime_id))
        return refuse("PRECONDITION_FAILED", version=version)

    # --- uses

    async def use(self, use: Use, key: str, now: datetime) -> UUID | Why | None:
        """Take a use for a hold: the id that the hold is to have, or why there is none.

        None if sales are open and none is needed, or if its hold was decided long ago. The same use
        again takes no other, and is for the same hold. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        try:
            async with transaction(self._pool) as writing:
                return await self._use(writing, use, key, now)
        except _NotUsed as refused:
            return refused.why

    async def _use(
        self, writing: PooledConnection, use: Use, key: str, now: datetime
    ) -> UUID | None:
        if await writing.fetchval(_IS_OPEN, use.showtime_id, now) is not False:
            return None
        look_at = now + LOOK_AFTER
        hold_id: UUID | None = await writing.fetchval(
            _USED_ALREADY, use.id, now - REPEATED_FOR, look_at
        )
        if hold_id is not None or await writing.fetchval(_USED_BEFORE, use.id):
            return hold_id
        row = await writing.fetchrow(_USE, use.showtime_id, key, now)
        if row is None:
            why = await writing.fetchval(_WHY_NOT, use.showtime_id, key, now)
            raise _NotUsed("unknown" if why is None else why)
        code_id, limit = row
        if not await writing.fetchval(_USE_OF_CUSTOMER, code_id, use.customer_id, limit):
            raise _NotUsed("used_by_you")
        noted = await writing.fetchval(
            _NOTE_USE, use.id, code_id, use.showtime_id, use.customer_id, use.hold_id, now, look_at
        )
        if not noted:
            # The same request at the same time: what this one has taken goes back.
            raise refuse("RETRY")
        return use.hold_id

    async def give_back(self, use_id: UUID, now: datetime) -> None:
        """There is no hold for a use that was to be looked at by now, or it has ended; once.

        Nothing, if it was repeated meanwhile. Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            await writing.execute(_GIVE_BACK, use_id, now)

    async def claim(self, now: datetime, until: datetime, limit: int) -> Sequence[Use]:
        """Uses to be looked at, which no other node gets before `until`.

        Refuses RETRY, OUTCOME_UNKNOWN.
        """
        async with transaction(self._pool) as writing:
            return [Use(*row) for row in await writing.fetch(_CLAIM, now, until, limit)]

    async def holder(self, use: Use) -> UUID | None:
        """Whose booking the hold of a use has become, paid or not. Refuses RETRY."""
        async with connection(self._pool) as reading:
            holder: UUID | None = await reading.fetchval(_HOLDER, use.showtime_id, use.hold_id)
        return holder

    async def look_again(self, use_id: UUID, at: datetime | None) -> None:
        """When to look at a use again; None: it is booked, and stays. Refuses RETRY."""
        async with transaction(self._pool) as writing:
            await writing.execute(_LOOK_AGAIN, use_id, at)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete the codes of showtimes that were long ago. Refuses RETRY."""
        async with transaction(self._pool) as writing:
            done = await writing.execute(_FORGET, now - KEPT, limit)
        return int(done.split()[-1])


def _code(row: Record) -> PresaleCode:
    return PresaleCode(**dict(row))
