"""`checkout`: seats that are held, paid by `demo` and booked, beside seats that are only held."""

from benchmarks.house import House
from benchmarks.results import Figures, Outcome, Target
from benchmarks.scenarios.holds import CUSTOMERS, HoldRuns
from benchmarks.session import Bench, Scenario, Subject
from benchmarks.side_by_side import outcome

SUMMARY = "one seat each: held, paid and booked, beside holds alone, 64 connections"

OF_HOLDS = 0.5


async def run_checkout(bench: Bench) -> Outcome:
    """Each run measures both, one after the other, on the same server."""
    figures = Figures()
    ways = {book: HoldRuns(bench, "spread", figures, book=book) for book in (False, True)}
    async with bench.cinema() as server:
        house = await House.open(server, CUSTOMERS)
        screen = await ways[False].screen(house)
        subject = Subject(name="cinema", port=server.port, observed=server.observed)
        for run in range(bench.options.runs):
            for book in (False, True) if run % 2 else (True, False):
                stage = await ways[book].stage("cinema", server, house, screen)
                await ways[book].measure(subject, stage, server, house)
    made = outcome("checkout", SUMMARY, figures)
    ratio = figures.of("cinema", "bookings").median / figures.of("cinema", "holds").median
    made.targets.append(
        Target(
            text="of the rate of holds",
            unit="×",
            wanted=OF_HOLDS,
            measured=ratio,
            at_least=True,
        )
    )
    return made


CHECKOUT = Scenario(
    name="checkout",
    summary=SUMMARY,
    steps=lambda options: 2 * options.runs,
    run=run_checkout,
)
