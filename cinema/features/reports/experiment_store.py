"""What became of customers in experiments; read on a replica if there is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cinema.features.reports.experiment_rules import Interval, difference, share
from cinema.features.reports.figure_shapes import ExperimentRow, Measure
from cinema.storage.database.driver import Record
from cinema.storage.database.reads import Reads

OUTCOME: Final = timedelta(days=7)
"""A booking counts that was made within this time after a film was shown."""

ARMS_MAX: Final = 300
"""Arms of all experiments in a report."""

MEASURES: Final[tuple[Measure, ...]] = ("clicked", "booked_shown", "booked")

# A guest that an account has claimed is the account, in the arm that it was in first; who has opted
# out by then is in none. What was given back is no outcome.
_ARMS: Final = """
with shown as materialized (
    select e.id, e.user_id, e.experiment, e.arm, e.is_control, e.movie_id, e.shown_at,
        coalesce(g.claimed_by, e.user_id) as customer_id
    from recommendation_exposures e left join guests g on g.id = e.user_id
    left join recommendation_preferences p on p.user_id = coalesce(g.claimed_by, e.user_id)
    where p.opted_out is not true and e.shown_at >= $1 and e.shown_at < $2 and e.experiment <> ''
), customers as materialized (
    select distinct on (experiment, customer_id) experiment, customer_id, arm, is_control,
        shown_at as first_at
    from shown order by experiment, customer_id, shown_at, id
), films as (
    select experiment, customer_id, count(*) as shown from shown group by 1, 2
), clicked as (
    select distinct s.experiment, s.customer_id
    from shown s join recommendation_events e
        on e.user_id = s.user_id and e.exposure_id = s.id and e.kind = 'click'
), bought as materialized (
    select c.experiment, c.customer_id, c.first_at, b.created_at, t.movie_id
    from customers c
    cross join lateral (
        select c.customer_id as id union all select id from guests where claimed_by = c.customer_id
    ) own
    join bookings b on b.user_id = own.id and b.status = 'confirmed'
        and b.created_at > c.first_at and b.created_at < $2::timestamptz + $3::interval
    join showtimes t on t.id = b.showtime_id
), booked as (
    select distinct experiment, customer_id from bought where created_at <= first_at + $3::interval
), booked_shown as (
    select distinct s.experiment, s.customer_id
    from shown s join bought b using (experiment, customer_id, movie_id)
    where b.created_at > s.shown_at and b.created_at <= s.shown_at + $3::interval
)
select c.experiment, c.arm, bool_or(c.is_control) as is_control, count(*)::int as customers,
    (count(*) filter (where c.first_at > $4::timestamptz - $3::interval))::int as maturing,
    sum(films.shown)::int as films_shown, count(clicked.customer_id)::int as clicked,
    count(booked_shown.customer_id)::int as booked_shown, count(booked.customer_id)::int as booked
from customers c
join films using (experiment, customer_id)
left join clicked using (experiment, customer_id)
left join booked_shown using (experiment, customer_id)
left join booked using (experiment, customer_id)
group by c.experiment, c.arm
order by max(c.first_at) desc, c.experiment, is_control desc, c.arm limit $5"""


class ExperimentsRepository:
    """Reads what became of customers in experiments."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    async def outcomes(
        self, since: datetime, until: datetime, now: datetime
    ) -> list[ExperimentRow]:
        """All measures of all arms to which films were shown, control first. Refuses RETRY."""
        rows = await self._reads.fetch(_ARMS, since, until, OUTCOME, now, ARMS_MAX)
        arms: dict[str, list[Record]] = defaultdict(list)
        for row in rows:
            arms[row["experiment"]].append(row)
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
        experiment, arm = row["experiment"], row["arm"]
        value, low, high = _percents(found)
        more, more_low, more_high = _percents(apart)
        rows.append(
            ExperimentRow(
                key=f"{experiment} {measure} {arm}",
                label=f"{experiment}: {arm}",
                experiment=experiment,
                measure=measure,
                arm=arm,
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
