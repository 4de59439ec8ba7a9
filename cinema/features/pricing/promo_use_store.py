"""Uses of promo codes in Postgres: reserved before a booking is made, returned if it ends.

The conditional update of the code comes first. Whoever uses the same code at the same time waits
there, and so counts the uses of a customer after it has committed: no limit is ever exceeded.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.domain.rejections import refuse
from cinema.features.pricing.use_rules import UseOfCode
from cinema.storage.database.transactions import Pool, connection, transaction

_TAKE: Final = """
update promo_codes set uses = uses + 1
where id = $1 and deleted_at is null and coalesce((terms ->> 'active')::boolean, true)
    and (max_uses is null or uses < max_uses)
returning (terms ->> 'max_uses_per_customer')::int as each"""
_OF_CUSTOMER: Final = """
select count(*) from promo_uses where promo_id = $1 and customers && $2 and state <> 'returned'"""
_RESERVE: Final = """
insert into promo_uses (booking_id, promo_id, customers, reserved_at) values ($1, $2, $3, $4)"""
_VERIFIED: Final = "select email_key from users where id = $1 and email_verified"

# Whoever returns the same uses at the same time takes others.
_RETURN: Final = """
with gone as (
    update promo_uses use set state = 'returned'
    where use.booking_id = any(array(
        select one.booking_id from promo_uses one
        where one.booking_id = $1 and one.state = 'reserved' for update skip locked
    ))
    returning use.promo_id
)
update promo_codes code set uses = code.uses - 1 from gone where code.id = gone.promo_id"""
_RETURN_ENDED: Final = """
with gone as (
    update promo_uses use set state = 'returned'
    where use.booking_id = any(array(
        select one.booking_id from promo_uses one
        where one.state = 'ended' or (
            one.state = 'reserved' and one.reserved_at < $1
            and not exists (select from bookings b where b.id = one.booking_id)
        )
        order by one.booking_id limit $2 for update skip locked
    ))
    returning use.promo_id
), counted as (
    update promo_codes code set uses = code.uses - of_code.count
    from (select promo_id, count(*)::int from gone group by promo_id) of_code
    where code.id = of_code.promo_id
    returning 1
)
select count(*) from gone"""

UNDER_WAY: Final = timedelta(minutes=15)
"""Longer than any command can be under way: a use without a booking that old has none."""


class PromoUsesRepository:
    """Counts uses of promo codes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def verified_email(self, user_id: UUID) -> str | None:
        """The verified address of an account in its unique form."""
        async with connection(self._pool) as reading:
            key: str | None = await reading.fetchval(_VERIFIED, user_id)
        return key

    async def reserve(self, use: UseOfCode, customers: Collection[str], now: datetime) -> None:
        """Count a use for a booking that is going to be made.

        `customers` are the names of one customer; nobody is counted without any. Refuses
        UNKNOWN_PROMO_CODE (used up), PROMO_NOT_APPLICABLE (the customer has used it too often).
        """
        async with transaction(self._pool) as running:
            row = await running.fetchrow(_TAKE, use.promo_id)
            if row is None:
                raise refuse("UNKNOWN_PROMO_CODE")
            each: int | None = row["each"]
            if each is not None and customers:
                used = await running.fetchval(_OF_CUSTOMER, use.promo_id, list(customers))
                if used >= each:
                    raise refuse("PROMO_NOT_APPLICABLE", reason="CUSTOMER_LIMIT", limit=each)
            await running.execute(_RESERVE, use.booking_id, use.promo_id, list(customers), now)

    async def give_back(self, booking_id: UUID) -> None:
        """Return the use of a booking that was certainly not made; once."""
        async with transaction(self._pool) as running:
            await running.execute(_RETURN, booking_id)

    async def return_ended(self, now: datetime, limit: int) -> int:
        """Return a bounded number of uses whose bookings have ended, or never came; how many."""
        async with transaction(self._pool) as running:
            gone: int = await running.fetchval(_RETURN_ENDED, now - UNDER_WAY, limit)
        return gone
