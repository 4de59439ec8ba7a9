"""`schedule`: a chain's week planned on two cores, beside greedy, against a bound."""

import asyncio
import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor

import msgspec

from benchmarks.chain import chain
from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.session import Bench, Options, Scenario
from cinema.features.showtimes.planner.greedy import greedy
from cinema.features.showtimes.planner.problem import Problem
from cinema.features.showtimes.planner.solver import solve
from cinema.features.showtimes.planner.worth import violations, worth

CINEMAS, DAYS, FILMS = 10, 7, 20
QUICK_CINEMAS, QUICK_DAYS = 2, 2

CORES = 2
LIMIT_S = 60.0
"""For the whole chain, on two cores."""

SHARE = 0.92
"""Of the time that a cinema has: the rest is for starting processes, and for a last relaxation."""

CHAIN_GAP, CINEMA_GAP = 5.0, 10.0

SUMMARY = (
    f"a week of {CINEMAS} cinemas with 12 screens and {FILMS} films planned on {CORES} cores, "
    "beside greedy"
)


class Planned(msgspec.Struct, frozen=True):
    """What came of one cinema; times of the processor and of the clock, seconds."""

    bound: float
    solver: float
    greedy: float
    solver_cpu_s: float
    greedy_cpu_s: float
    ended_s: float


def plan(problem: Problem, seconds: float) -> Planned:
    """Plan one cinema both ways; runs in a process of its own."""
    began = time.process_time()
    simple = greedy(problem)
    between = time.process_time()
    last = solve(problem, seconds=seconds, clock=time.monotonic, report=lambda _: None)
    ended = time.process_time()
    for shows in (simple, last.shows):
        broken = violations(problem, shows)
        if broken:
            raise AssertionError(f"a schedule breaks rules: {broken[:3]}")
    return Planned(
        bound=last.bound or 0.0,
        solver=worth(problem, last.shows),
        greedy=worth(problem, simple),
        solver_cpu_s=ended - between,
        greedy_cpu_s=between - began,
        ended_s=time.monotonic(),
    )


def gap(bound: float, value: float) -> float:
    """How far a value is from its bound, per cent of the bound."""
    return 100 * (bound - value) / bound


async def run_schedule(bench: Bench) -> Outcome:
    """The whole chain, as often as there are runs."""
    quick = bench.options.quick
    cinemas, days = (QUICK_CINEMAS, QUICK_DAYS) if quick else (CINEMAS, DAYS)
    problems = chain(cinemas, days, FILMS)
    seconds = SHARE * LIMIT_S * CORES / CINEMAS * days / DAYS
    figures = Figures()
    lasted: list[float] = []
    for _ in range(bench.options.runs):
        bench.say(f"schedule: {cinemas} cinemas, {days} days")
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(CORES, mp_context=context) as pool:
            began = time.monotonic()
            loop = asyncio.get_running_loop()
            done = await asyncio.gather(
                *(loop.run_in_executor(pool, plan, problem, seconds) for problem in problems)
            )
            lasted.append(max(one.ended_s for one in done) - began)
        bound = sum(one.bound for one in done)
        solver_cpu_s = sum(one.solver_cpu_s for one in done)
        for subject, values, cpu_s in (
            ("cinema", [one.solver for one in done], solver_cpu_s),
            ("greedy", [one.greedy for one in done], sum(one.greedy_cpu_s for one in done)),
        ):
            worst = max(gap(one.bound, value) for one, value in zip(done, values, strict=True))
            notes = {"cpu_s": cpu_s, "value": sum(values), "bound": bound}
            whole = Measurement(value=gap(bound, sum(values)), notes=notes)
            figures.add(subject, "gap of the chain", "%", whole)
            figures.add(subject, "largest gap of a cinema", "%", Measurement(value=worst))
            figures.add(subject, "processor", "s", Measurement(value=cpu_s))
        bench.step()
    took = figures.of("cinema", "processor")
    return Outcome(
        scenario="schedule",
        summary=SUMMARY,
        figures=figures.all(),
        targets=[
            Target(
                text="gap of the chain to its bound",
                unit="%",
                wanted=CHAIN_GAP,
                measured=figures.of("cinema", "gap of the chain").median,
                at_least=False,
            ),
            Target(
                text="gap of the cinema that is furthest from its bound",
                unit="%",
                wanted=CINEMA_GAP,
                measured=figures.of("cinema", "largest gap of a cinema").median,
                at_least=False,
            ),
            Target(
                text=f"time for {cinemas} cinemas on {CORES} cores",
                unit="s",
                wanted=LIMIT_S,
                measured=max(lasted),
                at_least=False,
            ),
        ],
        notes=[
            f"{seconds:.1f} s for each cinema, {took.median:.0f} s of processor time in all",
            "on a machine with other work the gap is that of less time",
            f"memory of the largest process: {_peak_mb():.0f} MB",
        ],
        problems=figures.problems,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def steps(options: Options) -> int:
    return options.runs


SCHEDULE = Scenario(name="schedule", summary=SUMMARY, steps=steps, run=run_schedule)
