"""Products, and codes to pick them up, in Postgres."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.rejections import refuse
from cinema.features.accounts.user_store import Act, note_act
from cinema.features.concessions.rules import PRODUCTS_LIMIT
from cinema.features.concessions.shapes import (
    PickUp,
    PickUpItem,
    PickUpOrder,
    Product,
    ProductFields,
    ProductGone,
    ProductInput,
)
from cinema.features.refusals import lost_update
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import PrimaryReads, Reads
from cinema.storage.database.transactions import (
    Pool,
    PooledConnection,
    changing,
    connection,
    run_once,
    transaction,
)

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_PRODUCT: Final = "id, cinema_id, product::text, currency, image_url, version"
_OF_CINEMA: Final = f"""
select {_PRODUCT} from concession_products
where cinema_id = $1 and deleted_at is null order by id"""
_BY_ID: Final = f"select {_PRODUCT} from concession_products where id = $1 and deleted_at is null"
_LOCK: Final = f"{_BY_ID} for update"
_CINEMA: Final = """
select currency, tax_rates::text from cinemas where id = $1 and deleted_at is null"""
# Of two that add a product at once the second counts behind the first, and no cinema gets too many.
_LOCK_CINEMA: Final = (
    "select pg_advisory_xact_lock(hashtextextended('concessions:' || $1::uuid, 0))"
)
_COUNT: Final = """
select count(*) from concession_products where cinema_id = $1 and deleted_at is null"""
_ADD: Final = f"""
insert into concession_products (id, cinema_id, product, currency, created_at, created_by)
values ($1, $2, $3::text::jsonb, $4, $5, $6) returning {_PRODUCT}"""
_CHANGE: Final = f"""
update concession_products set product = $2::text::jsonb, currency = $3, updated_at = $4,
    updated_by = $5, version = version + 1
where id = $1 returning {_PRODUCT}"""
_SHOW_IMAGE: Final = f"""
update concession_products set image_url = $2, updated_at = $3, updated_by = $4,
    version = version + 1
where id = $1 and deleted_at is null returning {_PRODUCT}"""
_DELETE: Final = """
update concession_products set deleted_at = $2, updated_at = $2, updated_by = $3,
    version = version + 1
where id = $1"""

_RESERVE: Final = """
insert into concession_orders (booking_id, cinema_id, code, reserved_at) values ($1, $2, $3, $4)
on conflict (cinema_id, code) do nothing returning true"""
_GIVE_BACK: Final = """
delete from concession_orders o where o.booking_id = $1
    and not exists (select from bookings b where b.id = o.booking_id)"""
_FORGET: Final = """
with gone as (
    delete from concession_orders where booking_id = any(array(
        select o.booking_id from concession_orders o
        where o.picked_up_at is null and o.reserved_at between $2 and $1
            and not exists (select from bookings b where b.id = o.booking_id)
        order by o.reserved_at limit $3 for update skip locked
    ))
    returning 1
)
select count(*) from gone"""
_PICK_UP_OF: Final = "select code, picked_up_at from concession_orders where booking_id = $1"

_ORDER: Final = """
select o.booking_id, b.code as booking_code, b.status, b.lines::text, o.cinema_id, o.code,
    o.picked_up_at, o.kept_at, b.showtime_id, t.starts_at
from concession_orders o
join bookings b on b.id = o.booking_id
join showtimes t on t.id = b.showtime_id"""
_LOCK_ORDER: Final = f"{_ORDER} where o.cinema_id = $1 and o.code = $2 for update of o"
_PICKED_UP: Final = """
update concession_orders set picked_up_at = $2, picked_up_by = $3
where booking_id = $1 and picked_up_at is null"""
_OPEN: Final = f"""
{_ORDER}
where t.cinema_id = $1 and b.status = 'confirmed' and o.picked_up_at is null
    and t.local_date = coalesce($2, (
        select ($3::timestamptz at time zone c.time_zone)::date from cinemas c where c.id = $1
    ))
order by t.starts_at, o.booking_id limit $4"""

# Who picks up at the same moment has the row first, or finds it kept.
_KEEP: Final = """
update concession_orders o set kept_by = $2, kept_at = $3
from bookings b
where o.booking_id = $1 and b.id = o.booking_id and b.status = 'confirmed'
    and o.picked_up_at is null
    and (o.kept_by is null or o.kept_by = $2 or o.kept_at < $4)
returning true"""
_WHY_NOT_KEPT: Final = """
select b.status, o.picked_up_at, o.booking_id is not null as is_there from bookings b
left join concession_orders o on o.booking_id = b.id where b.id = $1"""
_RELEASE: Final = """
update concession_orders set kept_by = null, kept_at = null
where booking_id = $1 and kept_by = $2"""

UNDER_WAY: Final = timedelta(minutes=15)
"""Longer than any command can be under way: an order without a booking that old has none, and a
cancellation that old has ended."""

LOOKED_BACK: Final = timedelta(days=1)
"""How far the sweep of orders without a booking looks back: it runs every few minutes."""

CODES_TRIED: Final = 8
"""How many codes are tried until one is free. Even if a third of all were given, one in 6,000
bookings would be refused RETRY."""

OPEN_LIMIT: Final = 1000
"""Most orders in the list of a day: more than the seats of most cinemas."""

_FIELDS: Final = msgspec.json.Decoder(ProductFields)
_RATES: Final = msgspec.json.Decoder(dict[str, int])


class _KeptLine(msgspec.Struct, frozen=True):
    """What is needed of a line of a booking (`features/bookings/rules.py`)."""

    kind: str
    code: str
    name: str
    quantity: int = 1


_LINES: Final = msgspec.json.Decoder(list[_KeptLine])


class SellingCinema(msgspec.Struct, frozen=True):
    """What a cinema says of its sales: currency, and tax rates in hundredths of a percent."""

    currency: str
    tax_rates: dict[str, int]


Kept = Literal["kept", "picked_up", "ended"]


class ConcessionsRepository:
    """Reads and writes products and orders."""

    def __init__(self, pool: Pool, reads: Reads | None = None) -> None:
        self._pool = pool
        self._reads = reads or PrimaryReads(pool)

    # --- products

    async def cinema(self, cinema_id: UUID) -> SellingCinema | None:
        """A cinema that is not deleted."""
        row = await self._reads.fetchrow(_CINEMA, cinema_id)
        return None if row is None else _cinema(row)

    async def products(self, cinema_id: UUID) -> list[Product]:
        """All products of a cinema, the oldest first."""
        return [_product(row) for row in await self._reads.fetch(_OF_CINEMA, cinema_id)]

    async def find(self, product_id: UUID) -> Product | None:
        """The product of an id."""
        row = await self._reads.fetchrow(_BY_ID, product_id)
        return None if row is None else _product(row)

    async def add(
        self,
        product_id: UUID,
        request: ProductInput,
        act: Act,
        key: IdempotencyKey | None,
        allow: Callable[[Mapping[str, int]], None],
    ) -> Product:
        """The new product; `allow` is told the cinema's tax rates, and may refuse.

        Refuses UNKNOWN_REFERENCE, PRODUCT_LIMIT.
        """

        async def insert(running: PooledConnection) -> Product:
            await running.execute(_LOCK_CINEMA, request.cinema_id)
            row = await running.fetchrow(_CINEMA, request.cinema_id)
            if row is None:
                raise refuse("UNKNOWN_REFERENCE", "There is no such cinema.", path="$.cinema_id")
            cinema = _cinema(row)
            allow(cinema.tax_rates)
            if await running.fetchval(_COUNT, request.cinema_id) >= PRODUCTS_LIMIT:
                raise refuse("PRODUCT_LIMIT", limit=PRODUCTS_LIMIT)
            fields = _fields(request)
            made = await running.fetchrow(
                *(_ADD, product_id, request.cinema_id, _json(fields), cinema.currency),
                *(act.at, act.by),
            )
            await _note(running, "product_added", product_id, act, {}, fields)
            return _product(_some(made))

        return await run_once(self._pool, key, act.at, Product, insert)

    async def change(
        self,
        product_id: UUID,
        seen: Collection[int],
        request: ProductFields,
        act: Act,
        allow: Callable[[Mapping[str, int]], None],
    ) -> Product:
        """The product as it is now, in the currency of its cinema.

        Refuses NOT_FOUND, PRECONDITION_FAILED.
        """
        async with transaction(self._pool) as running:
            before = await _locked(running, product_id, seen)
            row = await running.fetchrow(_CINEMA, before.cinema_id)
            if row is None:
                raise refuse("NOT_FOUND")
            cinema = _cinema(row)
            allow(cinema.tax_rates)
            fields = _fields(request)
            made = await running.fetchrow(
                _CHANGE, product_id, _json(fields), cinema.currency, act.at, act.by
            )
            await _note(running, "product_changed", product_id, act, _fields(before), fields)
            return _product(_some(made))

    async def show_image(
        self, product_id: UUID, url: str | None, act: Act, key: IdempotencyKey | None
    ) -> Product:
        """The product with this picture, or with none. Refuses NOT_FOUND."""

        async def change(running: PooledConnection) -> Product:
            row = await running.fetchrow(_SHOW_IMAGE, product_id, url, act.at, act.by)
            if row is None:
                raise refuse("NOT_FOUND")
            await _note(running, "product_changed", product_id, act, {}, {"image_url": url})
            return _product(row)

        return await run_once(self._pool, key, act.at, Product, change)

    async def delete(
        self, product_id: UUID, seen: Collection[int], act: Act, key: IdempotencyKey | None
    ) -> ProductGone:
        """Sell a product no longer. Refuses NOT_FOUND, PRECONDITION_FAILED."""

        async def delete(running: PooledConnection) -> ProductGone:
            before = await _locked(running, product_id, seen)
            await running.execute(_DELETE, product_id, act.at, act.by)
            await _note(running, "product_deleted", product_id, act, _fields(before), {})
            return ProductGone(id=product_id, deleted_at=act.at)

        return await run_once(self._pool, key, act.at, ProductGone, delete)

    # --- orders

    async def reserve(
        self, booking_id: UUID, cinema_id: UUID, new_code: Callable[[], str], now: datetime
    ) -> str:
        """A code for a booking that is going to be made. Refuses RETRY."""
        for _ in range(CODES_TRIED):
            code = new_code()
            async with transaction(self._pool) as running:
                if await running.fetchval(_RESERVE, booking_id, cinema_id, code, now):
                    return code
        raise refuse("RETRY")

    async def give_back(self, booking_id: UUID) -> None:
        """Forget the code of a booking that was certainly not made."""
        async with changing(self._pool) as writing:
            await writing.execute(_GIVE_BACK, booking_id)

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete a bounded number of orders whose bookings never came; returns how many."""
        oldest = now - LOOKED_BACK
        async with changing(self._pool) as writing:
            gone: int = await writing.fetchval(_FORGET, now - UNDER_WAY, oldest, limit)
        return gone

    async def pick_up_of(self, booking_id: UUID) -> PickUp | None:
        """The code of a booking, from the primary: it may be a moment old."""
        async with connection(self._pool) as reading:
            row = await reading.fetchrow(_PICK_UP_OF, booking_id)
        return None if row is None else PickUp(row["code"], row["picked_up_at"])

    async def open(self, cinema_id: UUID, day: date | None, now: datetime) -> list[PickUpOrder]:
        """What is to be handed out for the showtimes of a day, the first ones first."""
        rows = await self._reads.fetch(_OPEN, cinema_id, day, now, OPEN_LIMIT)
        return [_order(row, row["picked_up_at"]) for row in rows]

    async def pick_up(
        self, cinema_id: UUID, code: str, act: Act, key: IdempotencyKey | None
    ) -> PickUpOrder:
        """Hand out what a code is for, once.

        Refuses NOT_FOUND, ALREADY_PICKED_UP, PAYMENT_IN_PROGRESS, BOOKING_ENDED, RETRY (it is being
        cancelled).
        """

        async def hand_out(running: PooledConnection) -> PickUpOrder:
            row = await running.fetchrow(_LOCK_ORDER, cinema_id, code)
            if row is None:
                raise refuse("NOT_FOUND", "There is no such pick-up code at this cinema.")
            if row["picked_up_at"] is not None:
                raise refuse("ALREADY_PICKED_UP", picked_up_at=row["picked_up_at"].isoformat())
            if row["status"] == "pending":
                raise refuse("PAYMENT_IN_PROGRESS", "This booking is not paid yet.")
            if row["status"] != "confirmed":
                raise refuse("BOOKING_ENDED")
            if row["kept_at"] is not None and row["kept_at"] >= act.at - UNDER_WAY:
                raise refuse("RETRY", "This booking is being cancelled. Try again in a moment.")
            order = _order(row, act.at)
            await running.execute(_PICKED_UP, order.booking_id, act.at, act.by)
            after = {"cinema_id": str(cinema_id), "code": code}
            await _note(running, "concessions_picked_up", order.booking_id, act, {}, after)
            return order

        return await run_once(self._pool, key, act.at, PickUpOrder, hand_out)

    async def keep(self, booking_id: UUID, token: bytes, now: datetime) -> Kept:
        """Hand nothing out while `token`, a cancellation, is under way; or why that is not needed.

        Refuses RETRY while another cancellation is.
        """
        async with transaction(self._pool) as running:
            if await running.fetchval(_KEEP, booking_id, token, now, now - UNDER_WAY):
                return "kept"
            row = await running.fetchrow(_WHY_NOT_KEPT, booking_id)
        if row is None or row["status"] != "confirmed":
            return "ended"
        if row["picked_up_at"] is not None:
            return "picked_up"
        if not row["is_there"]:
            return "kept"  # Nobody can hand anything out without a code.
        raise refuse("RETRY")

    async def release(self, booking_id: UUID, token: bytes) -> None:
        """The cancellation has ended, and the booking has not."""
        async with changing(self._pool) as writing:
            await writing.execute(_RELEASE, booking_id, token)


async def _locked(running: PooledConnection, product_id: UUID, seen: Collection[int]) -> Product:
    row = await running.fetchrow(_LOCK, product_id)
    if row is None or row["version"] not in seen:
        raise lost_update(None if row is None else row["version"])
    return _product(row)


async def _note(
    running: PooledConnection, action: str, target_id: UUID, act: Act, before: object, after: object
) -> None:
    await note_act(
        running,
        act,
        action,
        target_id,
        before=msgspec.to_builtins(before),
        after=msgspec.to_builtins(after),
    )


def _fields(product: ProductFields | Product) -> dict[str, Any]:
    return {name: getattr(product, name) for name in ProductFields.__struct_fields__}


def _product(row: Record) -> Product:
    fields = _FIELDS.decode(row["product"])
    return Product(
        id=row["id"],
        cinema_id=row["cinema_id"],
        currency=row["currency"],
        version=row["version"],
        image_url=row["image_url"],
        **_fields(fields),
    )


def _cinema(row: Record) -> SellingCinema:
    return SellingCinema(row["currency"], _RATES.decode(row["tax_rates"]))


def _order(row: Record, picked_up_at: datetime | None) -> PickUpOrder:
    lines = _LINES.decode(row["lines"] or "[]")
    return PickUpOrder(
        booking_id=row["booking_id"],
        booking_code=row["booking_code"],
        cinema_id=row["cinema_id"],
        showtime_id=row["showtime_id"],
        starts_at=row["starts_at"],
        code=row["code"],
        items=[
            PickUpItem(product_id=UUID(line.code), name=line.name, quantity=line.quantity)
            for line in lines
            if line.kind == "product"
        ],
        status="open" if picked_up_at is None else "picked_up",
        picked_up_at=picked_up_at,
    )


def _some(row: Record | None) -> Record:
    if row is None:
        raise LookupError("the statement returned no row")
    return row


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
