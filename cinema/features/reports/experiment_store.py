"""What became of customers in experiments; read on a replica if there is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from cinema.features.reports.experiment_rules import Interval, difference, share
from cinema.features.reports.figure_shapes import ExperimentRow, Measure
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import Reads

OUTCOME: Final = timedelta(days=7)
"""A booking counts that was made within this time after a film was shown."""

ARMS_MAX: Final = 3000
"""Arms of all experiments in a report, by day if it is by day."""

MEASURES: Final[tuple[Measure, ...]] = ("clicked", "booked_shown", "booked")

# A guest that an account has claimed is the account, in the arm that it was in first; who has opted
# out by then is in none. What was given back is no outcome.
# What is known of a customer comes together by grouping, and a booking to the showings before it by
# a window: joins of many rows, whose number Postgres cannot foresee, took the square of the time.
_ARMS: Final = """
with shown as materialized (
    select e.id, e.experiment, e.arm, e.is_control, e.movie_id, e.shown_at,
        coalesce(g.claimed_by, e.user_id) as customer_id,
        (e.id, e.user_id) in (
            select exposure_id, user_id from recommendation_events
            where kind = 'click' and at >= $1 and exposure_id is not null
        ) as is_clicked
    from recommendation_exposures e left join guests g on g.id = e.user_id
    left join recommendation_preferences p on p.user_id = coalesce(g.claimed_by, e.user_id)
    where p.opted_out is not true and e.shown_at >= $1 and e.shown_at < $2 and e.experiment <> ''
), by_arm as (
    select experiment, customer_id, arm, is_control, min(shown_at) as first_at,
        count(*) as films_shown, bool_or(is_clicked) as clicked
    from shown group by 1, 2, 3, 4
), customers as materialized (
    select distinct on (customer_id, experiment) experiment, customer_id, arm, is_control, first_at,
        sum(films_shown) over every as films_shown, bool_or(clicked) over every as clicked
    from by_arm
    window every as (partition by customer_id, experiment)
    order by customer_id, experiment, first_at, arm
), bought as materialized (
    select c.experiment, c.customer_id, c.first_at, b.created_at, t.movie_id
    from customers c
    cross join lateral (
        select c.customer_id as id union all select id from guests where claimed_by = c.customer_id
    ) own
    join bookings b on b.user_id = own.id and b.status = 'confirmed'
        and b.created_at > c.first_at and b.created_at < $2::timestamptz + $3::interval
    join showtimes t on t.id = b.showtime_id and ($6::uuid[] is null or t.cinema_id = any($6))
), moments as (
    select experiment, customer_id, movie_id, created_at as at, first_at, true as is_booking
    from bought
    union all
    select experiment, customer_id, movie_id, shown_at, null, false from shown
    where (customer_id, movie_id, experiment) in (
        select customer_id, movie_id, experiment from bought
    )
), followed as (
    select experiment, customer_id, at, first_at, is_booking,
        max(at) filter (where not is_booking) over (
            partition by customer_id, movie_id, experiment order by at, is_booking desc
            rows between unbounded preceding and current row
        ) as shown_at
    from moments
), known as (
    select experiment, customer_id, arm, is_control, first_at, films_shown, clicked,
        null::boolean as booked, null::boolean as booked_shown
    from customers
    union all
    select experiment, customer_id, null, null, null, null, null,
        at <= first_at + $3::interval, shown_at >= at - $3::interval
    from followed where is_booking
), together as (
    select experiment, customer_id, max(arm) as arm, bool_or(is_control) as is_control,
        min(first_at) as first_at, max(films_shown) as films_shown, bool_or(clicked) as clicked,
        bool_or(booked) as booked, bool_or(booked_shown) as booked_shown
    from known group by 1, 2
)
select experiment, arm, case when $7 then (first_at at time zone 'UTC')::date::text end as day,
    bool_or(is_control) as is_control, count(*)::int as customers,
    (count(*) filter (where first_at > $4::timestamptz - $3::interval))::int as maturing,
    sum(films_shown)::int as films_shown, (count(*) filter (where clicked))::int as clicked,
    (count(*) filter (where booked_shown))::int as booked_shown,
    (count(*) filter (where booked))::int as booked
from together
group by experiment, arm, day
order by day, max(max(first_at)) over (partition by experiment) desc, experiment,
    is_control desc, arm limit $5"""


class ExperimentsRepository:
    """Reads what became of customers in experiments."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def outcomes(
        self,
        since: datetime,
        until: datetime,
        now: datetime,
        cinemas: Sequence[UUID] | None = None,
        *,
        by_day: bool = False,
    ) -> list[ExperimentRow]:
        """All measures of all arms to which films were shown, control first. Refuses RETRY.

        Bookings at `cinemas` are outcomes; None is all of them.
        """
        rows = await self._reads.fetch(
            *(_ARMS, since, until, OUTCOME, now, ARMS_MAX, cinemas, by_day)
        )
        arms: dict[tuple[str | None, str], list[Record]] = defaultdict(list)
        for row in rows:
            arms[row["day"], row["experiment"]].append(row)
        return [
            one
            for of_experiment in arms.values()
            for measure in MEASURES
            for one in _compared(of_experiment, measure)
        ]


def _compared(arms: Sequence[Record], measure: Measure) -> list[ExperimentRow]:
    shares = [share(row[measure], row["customers"]) for row in arms]
    control = next(
        (found for found, row in zip(shares, arms, strict=True) if row["is_control"]), None
    )
    rows = []
    for row, found in zip(arms, shares, strict=True):
        apart = None if row["is_control"] else difference(found, control)
        experiment, arm, day = row["experiment"], row["arm"], row["day"]
        of_day = "" if day is None else f" {day}"
        value, low, high = _percents(found)
        more, more_low, more_high = _percents(apart)
        rows.append(
            ExperimentRow(
                key=f"{experiment} {measure} {arm}{of_day}",
                label=f"{experiment}: {arm}{of_day}",
                experiment=experiment,
                measure=measure,
                arm=arm,
                date=day,
                is_control=row["is_control"],
                customers=row["customers"],
                maturing=row["maturing"],
                films_shown=row["films_shown"],
                reached=row[measure],
                share=value,
                share_low=low,
                share_high=high,
                difference=more,
                difference_low=more_low,
                difference_high=more_high,
            )
        )
    return rows


def _percents(of: Interval | None) -> tuple[float | None, float | None, float | None]:
    if of is None:
        return None, None, None
    return round(100 * of.value, 2), round(100 * of.low, 2), round(100 * of.high, 2)
