"""`pricing`: a quote for ten seats by a book of fifty rules, with its steps, fees and taxes."""

import time
from datetime import date
from uuid import UUID

from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.session import Bench, Options, Scenario
from cinema.domain.pricing.book import (
    GROUPS,
    BookSettings,
    Conditions,
    Discount,
    Effect,
    Fee,
    GroupDiscount,
    PriceBook,
    Promo,
    Rule,
    TicketType,
)
from cinema.domain.pricing.quotes import quote
from cinema.domain.pricing.rules import ready_book, ready_showtime
from cinema.domain.pricing.showing import AskedTicket, LocalStart, Moment, ShowtimeFacts

RULES, SEATS = 50, 10
LIMIT_US = 200.0
HOUR_US = 3_600_000_000
AT_A_TIME = 200
"""Quotes between two looks at the clock."""

SUMMARY = f"a quote for {SEATS} seats, of four types and two categories, by {RULES} rules"


def book() -> PriceBook:
    """A book whose rules all have to be looked at: the last of each group counts."""
    kinds = ("adult", "child", "student", "senior")
    rules = tuple(
        Rule(
            id=UUID(int=number),
            name=f"Rule {number}",
            group=GROUPS[number % len(GROUPS)],
            priority=number,
            when=_last(number) if number >= RULES - len(GROUPS) else _others(number, kinds),
            effect=Effect(kind="percent", value=-500),
        )
        for number in range(RULES)
    )
    return PriceBook(
        version=1,
        currency="EUR",
        time_zone="Europe/Berlin",
        settings=BookSettings(
            ticket_types=tuple(TicketType(code=kind, name=kind.title()) for kind in kinds),
            group_discounts=(
                GroupDiscount(
                    code="group",
                    name="Group",
                    tickets_min=SEATS,
                    discount=Discount(kind="percent", value=500),
                ),
            ),
            fees=(
                Fee(code="service", name="Service", per="ticket", amount=50, tax="standard"),
                Fee(code="order", name="Order", per="order", amount=100, tax="standard"),
            ),
            rounding_step=10,
            ticket_tax="reduced",
        ),
        rules=rules,
        tax_rates={"reduced": 700, "standard": 1900},
    )


def _last(number: int) -> Conditions:
    return Conditions(taken_min=number)


def _others(number: int, kinds: tuple[str, ...]) -> Conditions:
    """Conditions that fail late: at the moment, or at the ticket."""
    if number % 2:
        return Conditions(weekdays=(2,), starts_until="17:00", taken_min=99)
    return Conditions(weekdays=(2,), ticket_types=kinds[3:], categories=("box",))


async def run_pricing(bench: Bench) -> Outcome:
    """Quotes one after the other, as long as a run lasts."""
    ready = ready_book(book())
    facts = ShowtimeFacts(
        movie_id=bytes(16),
        cinema_id=bytes(16),
        base_minor=1190,
        starts_at_us=1000 * HOUR_US,
        local=LocalStart(date(2026, 6, 9), 15 * 60),
    )
    moment = Moment(990 * HOUR_US, 90, 100)
    kinds = ("adult", "adult", "child", "student", "senior")
    tickets = [
        AskedTicket(("regular", "premium")[at % 2], kinds[at % len(kinds)], f"F{at}")
        for at in range(SEATS)
    ]
    promos = (Promo(code="TEN", discount=Discount(kind="amount", value=1000), per="booking"),)
    figures = Figures()
    for _ in range(bench.options.runs):
        for subject in ("book ready", "book to be made ready"):
            bench.say(f"pricing: {subject}")
            show = ready_showtime(ready, facts)
            began, cpu_began = time.perf_counter(), time.thread_time()
            ends, count = began + bench.options.seconds / 2, 0
            while time.perf_counter() < ends:
                for _ in range(AT_A_TIME):
                    if subject != "book ready":
                        show = ready_showtime(ready_book(ready.book), facts)
                    quote(show, moment, tickets, promos)
                count += AT_A_TIME
            lasted, cpu = time.perf_counter() - began, time.thread_time() - cpu_began
            notes = {"lasted_us": lasted / count * 1e6}
            figures.add(subject, "a quote", "µs", Measurement(value=cpu / count * 1e6, notes=notes))
        bench.step()
    made = figures.of("book ready", "a quote")
    return Outcome(
        scenario="pricing",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="a quote, by its processor time",
                unit="µs",
                wanted=LIMIT_US,
                measured=made.median,
                at_least=False,
            )
        ],
        notes=[f"by the clock {made.note('lasted_us') or 0:.0f} µs; a showtime is made ready once"],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs


PRICING = Scenario(name="pricing", summary=SUMMARY, steps=steps, run=run_pricing)
