"""`showtime-change`: when the last of three nodes sells by new terms, from the answer on."""

import asyncio
import time

import msgspec

from benchmarks.cluster import Cluster
from benchmarks.house import House, Screen
from benchmarks.load.batch import send_one
from benchmarks.load.http import format_request
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.server import HOST
from benchmarks.session import Bench, Options, Scenario

NODES = 3
SHOWTIMES = 20
"""Showtimes that are changed in a run, each once: some are the asked node's, some others'."""

SCREEN = ("Screen", 10, 12)
WITHIN_S = 1.0
PATIENCE_S = 10.0
NEW_PRICE_MINOR = 1999

SUMMARY = f"from the answer to a change of price until the last of {NODES} nodes sells by it"


class _Seat(msgspec.Struct):
    price: dict[str, int | str]


class _Hold(msgspec.Struct):
    seats: list[_Seat]


class _Held(msgspec.Struct):
    data: _Hold


async def sold_anew_s(port: int, showtime: str, labels: list[str], token: str) -> float:
    """When a hold at a node has the new price for the first time, each on another seat."""
    async with asyncio.timeout(PATIENCE_S):
        for label in labels:
            request = format_request(
                "POST",
                f"/api/v1/showtimes/{showtime}/holds",
                host=f"{HOST}:{port}",
                token=token,
                body=msgspec.json.encode({"seats": [label]}),
            )
            held = msgspec.json.decode(await send_one(HOST, port, request), type=_Held)
            if held.data.seats[0].price["amount"] == NEW_PRICE_MINOR:
                return time.monotonic()
    raise AssertionError(f"{len(labels)} seats were sold at the old price")


async def measure(cluster: Cluster, house: House, screen: Screen, figures: Figures) -> None:
    """One run: every showtime gets another price through the first node."""
    taken_s: list[float] = []
    asked_s: list[float] = []
    for showtime in await house.showtimes(screen, SHOWTIMES):
        # On each node there is somebody who has seen the old terms.
        shares = [screen.labels[node::NODES] for node in range(NODES)]
        ports = [node.port for node in cluster.nodes]
        for port, labels in zip(ports, shares, strict=True):
            request = format_request(
                "POST",
                f"/api/v1/showtimes/{showtime}/holds",
                host=f"{HOST}:{port}",
                token=house.tokens[0],
                body=msgspec.json.encode({"seats": [labels.pop()]}),
            )
            await send_one(HOST, port, request)
        begun_s = time.monotonic()
        await house.change(showtime, NEW_PRICE_MINOR)
        answered_s = time.monotonic()
        asked_s.append(answered_s - begun_s)
        sold_s = await asyncio.gather(
            *(
                sold_anew_s(port, showtime, labels, house.tokens[0])
                for port, labels in zip(ports, shares, strict=True)
            )
        )
        taken_s.append(max(sold_s) - answered_s)
    figures.add("cinema", "the last node", "ms", Measurement(value=max(taken_s) * 1000))
    figures.add("cinema", "the change itself", "ms", Measurement(value=max(asked_s) * 1000))


async def run_showtime_change(bench: Bench) -> Outcome:
    """All runs in one cluster, each with showtimes of its own."""
    figures = Figures()
    async with bench.cluster(NODES) as cluster:
        house = await House.open(cluster, 1)
        screen = await house.screen(*SCREEN)
        for _ in range(bench.options.runs):
            await measure(cluster, house, screen, figures)
            bench.step()
    last = figures.of("cinema", "the last node")
    return Outcome(
        scenario="showtime-change",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="the slowest of all, from the answer to the hold's answer",
                unit="ms",
                wanted=WITHIN_S * 1000,
                measured=last.highest,
                at_least=False,
            )
        ],
        notes=[f"{SHOWTIMES} showtimes a run, each changed once; the slowest of them is shown"],
        problems=figures.problems,
    )


def steps(options: Options) -> int:
    return options.runs


SHOWTIME_CHANGE = Scenario(
    name="showtime-change", summary=SUMMARY, steps=steps, run=run_showtime_change
)
