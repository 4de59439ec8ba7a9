"""Reports from the figures of showtimes: each is one statement, on a read replica if there is one.

Which showtimes there are, when and where, is read from the calendar: so what moves is where it is,
and one that sells nothing counts with its seats.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from cinema.domain.rejections import refuse
from cinema.features.reports.figure_rules import percent
from cinema.features.reports.figure_shapes import (
    LIVE_SHOWN,
    ROWS_MAX,
    CapacityGroup,
    CapacityRow,
    CashGroup,
    CashRow,
    Dashboard,
    DistributorRow,
    FunnelGroup,
    FunnelRow,
    LiveShowtime,
    OccupancyGroup,
    OccupancyRow,
    PopularRow,
    RevenueGroup,
    RevenueRow,
    Sums,
)
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import Reads

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_SHOWTIMES: Final = """
    select t.id, t.movie_id, t.cinema_id, t.screen_id, t.starts_at, t.ends_at, t.status, t.currency,
        m.title, c.name as cinema, s.name as screen, here.local,
        (here.local - c.begins)::date as day, l.seat_count as seats,
        coalesce(f.bookings, 0) as bookings, coalesce(f.sold, 0) as sold,
        coalesce(f.admitted, 0) as admitted, coalesce(f.gross_minor, 0) as gross,
        coalesce(f.refunded_minor, 0) as refunds, coalesce(f.tax_minor, 0) as tax,
        coalesce(f.fees_minor, 0) as fees, f.types, f.methods
    from houses c
    join showtimes t on t.cinema_id = c.id
    join movies m on m.id = t.movie_id
    join screens s on s.id = t.screen_id
    join screen_layouts l on l.screen_id = t.screen_id and l.version = t.layout_version
    left join showtime_figures f on f.showtime_id = t.id
    cross join lateral (select t.starts_at at time zone c.time_zone as local) here"""
# Where a business day begins is found once for each cinema: for each showtime it would take as long
# as all the rest. It lies within two days of the same day in UTC, wherever its cinema is.
_SHOWN: Final = f"""
with houses as materialized (
    select id, name, time_zone, begins,
        ($1::date + begins) at time zone time_zone as opens_at,
        ($2::date + 1 + begins) at time zone time_zone as closes_at
    from (select *, business_day_starts_at::interval as begins from cinemas) c
    where $3::uuid[] is null or id = any($3)
), shown as ({_SHOWTIMES}
    where t.starts_at >= $1::date - 2 and t.starts_at < $2::date + 3
        and t.starts_at >= c.opens_at and t.starts_at < c.closes_at
)"""

_GROUPS: Final[dict[str, tuple[str, str, str]]] = {
    "showtime": (
        "id::text",
        "to_char(local, 'YYYY-MM-DD HH24:MI') || ' ' || screen || ' ' || title",
        "min(starts_at)",
    ),
    "date": ("day::text", "day::text", "min(day)"),
    "movie": ("movie_id::text", "title", "min(title)"),
    "cinema": ("cinema_id::text", "cinema", "min(cinema)"),
    "screen": ("screen_id::text", "cinema || ' ' || screen", "min(cinema || ' ' || screen)"),
    "weekday": (
        "extract(isodow from day)::text",
        "to_char(day, 'FMDay')",
        "min(extract(isodow from day))",
    ),
    "hour": (
        "to_char(local, 'HH24')",
        "to_char(local, 'HH24:00')",
        # Behind midnight it is still the same evening.
        "min(local - day)",
    ),
}
"""For each way to group: the key of a group, what it is called, and its place in the order."""

_CAPACITY: Final = """{shown}
select {key} as key, {label} as label, count(*)::int as showtimes, sum(seats)::int as seats,
    sum(sold)::int as sold, sum(admitted)::int as admitted
from shown where status <> 'cancelled'
group by 1, 2 order by {place}, 1 limit {limit}"""
_REVENUE: Final = """{shown}
select {key} as key, {label} as label, currency, sum(sold)::int as tickets,
    sum(gross)::bigint as gross, sum(refunds)::bigint as refunds, sum(tax)::bigint as tax,
    sum(fees)::bigint as fees, sum(gross - refunds - tax)::bigint as net
from shown
group by 1, 2, currency
having sum(bookings) > 0 or sum(gross) <> 0 or sum(refunds) <> 0
order by {place}, 1, 3 limit {limit}"""
_BY_TYPE: Final = f"""{_SHOWN}
select line.name as key, line.name as label, currency, sum(line.tickets)::int as tickets,
    sum(line.price_minor)::bigint as gross, null::bigint as refunds,
    sum(line.tax_minor)::bigint as tax, null::bigint as fees,
    sum(line.price_minor - line.tax_minor)::bigint as net
from shown cross join lateral jsonb_to_recordset(shown.types)
    as line (name text, tickets int, price_minor bigint, tax_minor bigint)
group by 1, 2, currency order by 1, 3 limit {ROWS_MAX + 1}"""
_BY_METHOD: Final = f"""{_SHOWN}
select line.name as key, line.name as label, currency, null::int as tickets,
    sum(line.taken_minor)::bigint as gross, sum(line.returned_minor)::bigint as refunds,
    null::bigint as tax, null::bigint as fees, null::bigint as net
from shown cross join lateral jsonb_to_recordset(shown.methods)
    as line (name text, taken_minor bigint, returned_minor bigint)
group by 1, 2, currency order by 1, 3 limit {ROWS_MAX + 1}"""
_POPULAR: Final = f"""{_SHOWN}
select movie_id::text as key, title as label, count(*)::int as showtimes, sum(seats)::int as seats,
    sum(sold)::int as tickets, sum(admitted)::int as admitted
from shown where status <> 'cancelled'
group by movie_id, title having sum(sold) > 0
order by sum(sold) desc, title, 1 limit $4"""
_OCCUPANCY: Final = """{shown}
select {key} as key, {label} as label, count(*)::int as showtimes,
    (count(*) filter (where sold >= seats and seats > 0))::int as sold_out,
    sum(seats)::int as seats, sum(sold)::int as sold,
    max(case when seats > 0 then round(100.0 * sold / seats, 1) end)::float8 as fullest
from shown where status <> 'cancelled'
group by 1, 2 order by {place}, 1 limit {limit}"""
_FUNNEL: Final = """{shown}
select {key} as key, {label} as label, count(*)::int as showtimes,
    coalesce(sum(v.seat_maps), 0)::bigint as seat_maps, sum(u.holds)::int as holds,
    sum(u.released)::int as released, sum(u.expired)::int as expired,
    coalesce(sum(v.checkout_pages), 0)::bigint as checkout_pages,
    sum(u.checkouts)::int as checkouts, sum(u.confirmed)::int as confirmed
from shown join showtime_funnels u on u.showtime_id = shown.id
left join showtime_visits v on v.showtime_id = shown.id
group by 1, 2 order by {place}, 1 limit {limit}"""
_DISTRIBUTOR: Final = f"""{_SHOWN}
select movie_id::text as key, title as label, cinema_id::text, cinema, currency,
    count(distinct id)::int as showtimes, sum(line.tickets)::int as admissions,
    sum(line.price_minor)::bigint as gross, sum(line.tax_minor)::bigint as tax,
    sum(line.price_minor - line.tax_minor)::bigint as net
from shown cross join lateral jsonb_to_recordset(shown.types)
    as line (name text, tickets int, price_minor bigint, tax_minor bigint)
group by movie_id, title, cinema_id, cinema, currency
order by title, 1, cinema, 3 limit {ROWS_MAX + 1}"""

_TILLS: Final[dict[str, tuple[str, str]]] = {
    "date": ("s.business_date::text", "s.business_date::text"),
    "cinema": ("s.cinema_id::text", "c.name"),
    "till": ("s.cinema_id::text || ' ' || lower(s.till)", "c.name || ' ' || min(s.till)"),
}
_CASH: Final = """
select {key} as key, {label} as label, s.currency, count(*)::int as sessions,
    (count(*) filter (where s.closed_at is null))::int as open_sessions,
    sum(s.opening_minor)::bigint as opening,
    coalesce(sum(taken.cash), 0)::bigint as cash_taken,
    coalesce(sum(handed.cash), 0)::bigint as cash_returned,
    coalesce(sum(taken.terminal), 0)::bigint as terminal_taken,
    coalesce(sum(handed.terminal), 0)::bigint as terminal_returned,
    coalesce(sum(moved.paid_in), 0)::bigint as paid_in,
    coalesce(sum(moved.paid_out), 0)::bigint as paid_out,
    coalesce(sum(moved.banked), 0)::bigint as banked,
    coalesce(sum(s.expected_minor), 0)::bigint as expected,
    coalesce(sum(s.counted_minor), 0)::bigint as counted,
    coalesce(sum(s.counted_minor - s.expected_minor), 0)::bigint as variance
from cash_sessions s
join cinemas c on c.id = s.cinema_id
cross join lateral (
    select sum(coalesce(t.amount_minor, p.amount_minor)) filter (where t.tender = 'cash') as cash,
        sum(coalesce(t.amount_minor, p.amount_minor)) filter (where t.tender = 'terminal')
            as terminal
    from cash_takings t left join payments p on p.id = t.payment_id
    where t.session_id = s.id and (t.amount_minor is not null
        or p.status in ('succeeded', 'partially_refunded', 'refunded'))
) taken
cross join lateral (
    select sum(p.amount_minor) filter (where p.tender = 'cash') as cash,
        sum(p.amount_minor) filter (where p.tender = 'terminal') as terminal
    from cash_payouts p where p.session_id = s.id
) handed
cross join lateral (
    select sum(m.amount_minor) filter (where m.kind = 'pay_in') as paid_in,
        sum(m.amount_minor) filter (where m.kind = 'pay_out') as paid_out,
        sum(m.amount_minor) filter (where m.kind = 'bank_drop') as banked
    from cash_movements m where m.session_id = s.id
) moved
where s.business_date between $1 and $2 and ($3::uuid[] is null or s.cinema_id = any($3))
group by {group}, s.currency order by 2, 1, 3 limit {limit}"""

# Each cinema has its own today.
_SPANS: Final = f"""
with houses as materialized (
    select id, name, time_zone, begins,
        (today - 13 + begins) at time zone time_zone as opens_at,
        (today - 6 + begins) at time zone time_zone as week_at,
        (today + begins) at time zone time_zone as today_at,
        (today + 1 + begins) at time zone time_zone as closes_at
    from (select *, business_day_starts_at::interval as begins from cinemas) c
    cross join lateral (
        select (($1::timestamptz at time zone time_zone) - begins)::date as today
    ) now
    where $2::uuid[] is null or id = any($2)
), shown as ({_SHOWTIMES}
    where t.starts_at >= $1::timestamptz - interval '16 days'
        and t.starts_at < $1::timestamptz + interval '3 days'
        and t.starts_at >= c.opens_at and t.starts_at < c.closes_at
)
select span.name, currency,
    (count(*) filter (where status <> 'cancelled'))::int as showtimes,
    coalesce(sum(seats) filter (where status <> 'cancelled'), 0)::int as seats,
    sum(sold)::int as sold, sum(admitted)::int as admitted, sum(gross)::bigint as gross,
    sum(refunds)::bigint as refunds, sum(gross - refunds - tax)::bigint as net
from shown join houses on houses.id = shown.cinema_id
cross join lateral (values
    ('today', starts_at >= today_at),
    ('this_week', starts_at >= week_at),
    ('last_week', starts_at < week_at)
) span (name, is_in)
where span.is_in
group by span.name, currency order by currency"""
_LIVE: Final = f"""
with houses as (
    select id, name, time_zone, business_day_starts_at::interval as begins from cinemas
    where $2::uuid[] is null or id = any($2)
), shown as ({_SHOWTIMES}
    where t.starts_at > $1::timestamptz - interval '1 day'
        and t.starts_at <= $1::timestamptz + interval '1 hour' and t.ends_at > $1
        and t.status <> 'cancelled'
)
select id as showtime_id, cinema_id, cinema, screen, title as film, starts_at, ends_at, seats, sold,
    admitted
from shown order by starts_at, id limit {LIVE_SHOWN}"""

Cinemas = Sequence[UUID] | None
"""Which cinemas a report is about; None is all of them."""


class FiguresRepository:
    """Reads reports."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def capacity(
        self, first: date, last: date, cinemas: Cinemas, group: CapacityGroup
    ) -> list[CapacityRow]:
        """Seats, sold and let in."""
        rows = await self._rows(_grouped(_CAPACITY, group), first, last, cinemas)
        return [
            CapacityRow(**dict(row), occupancy=percent(row["sold"], row["seats"])) for row in rows
        ]

    async def revenue(
        self, first: date, last: date, cinemas: Cinemas, group: RevenueGroup
    ) -> list[RevenueRow]:
        """What was charged, given back and kept."""
        if group == "ticket_type":
            statement = _BY_TYPE
        elif group == "method":
            statement = _BY_METHOD
        else:
            statement = _grouped(_REVENUE, group)
        rows = await self._rows(statement, first, last, cinemas)
        return [RevenueRow(**dict(row)) for row in rows]

    async def popular(
        self, first: date, last: date, cinemas: Cinemas, limit: int
    ) -> list[PopularRow]:
        """Films by their tickets, most first."""
        rows = await self._reads.fetch(_POPULAR, first, last, cinemas, limit)
        return [
            PopularRow(**dict(row), rank=place, occupancy=percent(row["tickets"], row["seats"]))
            for place, row in enumerate(rows, 1)
        ]

    async def occupancy(
        self, first: date, last: date, cinemas: Cinemas, group: OccupancyGroup
    ) -> list[OccupancyRow]:
        """How full showtimes were."""
        rows = await self._rows(_grouped(_OCCUPANCY, group), first, last, cinemas)
        return [
            OccupancyRow(**dict(row), occupancy=percent(row["sold"], row["seats"])) for row in rows
        ]

    async def funnel(
        self, first: date, last: date, cinemas: Cinemas, group: FunnelGroup
    ) -> list[FunnelRow]:
        """How holds went on."""
        rows = await self._rows(_grouped(_FUNNEL, group), first, last, cinemas)
        return [
            FunnelRow(
                **dict(row),
                completion=percent(row["confirmed"], row["checkouts"]),
                expiry=percent(row["expired"], row["holds"]),
            )
            for row in rows
        ]

    async def distributor(self, first: date, last: date, cinemas: Cinemas) -> list[DistributorRow]:
        """Admissions of films, and what was paid for them."""
        rows = await self._rows(_DISTRIBUTOR, first, last, cinemas)
        return [DistributorRow(**dict(row)) for row in rows]

    async def cash(
        self, first: date, last: date, cinemas: Cinemas, group: CashGroup
    ) -> list[CashRow]:
        """What passed the tills."""
        key, label = _TILLS[group]
        of_group = f"{key}, c.name" if group != "date" else key
        statement = _CASH.format(key=key, label=label, group=of_group, limit=ROWS_MAX + 1)
        rows = await self._rows(statement, first, last, cinemas)
        return [CashRow(**dict(row)) for row in rows]

    async def dashboard(self, now: datetime, cinemas: Cinemas) -> Dashboard:
        """Today, this week and the one before, and what runs now."""
        sums: dict[str, list[Sums]] = {"today": [], "this_week": [], "last_week": []}
        for row in await self._reads.fetch(_SPANS, now, cinemas):
            values: dict[str, Any] = dict(row)
            name = values.pop("name")
            occupancy = percent(row["sold"], row["seats"])
            sums[name].append(Sums(**values, occupancy=occupancy))
        live = await self._reads.fetch(_LIVE, now, cinemas)
        return Dashboard(at=now, **sums, live=[LiveShowtime(**dict(row)) for row in live])

    async def _rows(
        self, statement: str, first: date, last: date, cinemas: Cinemas
    ) -> list[Record]:
        rows = await self._reads.fetch(statement, first, last, cinemas)
        if len(rows) > ROWS_MAX:
            text = f"More than {ROWS_MAX} rows: ask for fewer days, or for larger groups."
            raise refuse("VALIDATION_ERROR", text, path="$.to")
        return rows


def _grouped(statement: str, group: str) -> str:
    key, label, place = _GROUPS[group]
    return statement.format(shown=_SHOWN, key=key, label=label, place=place, limit=ROWS_MAX + 1)
