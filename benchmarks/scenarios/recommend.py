"""`recommend`: what the model foresees in MovieLens-100K, and in a cinema of known tastes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import fmean, median, quantiles
from uuid import UUID

import numpy as np

from benchmarks.results import Figures, Measurement, Outcome, Target
from benchmarks.session import Bench, Options, Scenario
from benchmarks.tastes.movielens import NotToBeHad, cached_wheel, films_of, ratings_of
from benchmarks.tastes.ranking import recall
from benchmarks.tastes.splits import Case, by_time, leave_last
from benchmarks.tastes.synthetic import WEEK_S, Visit, World, acts_of, make_world
from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.facts import (
    Customer,
    CustomerAct,
    Film,
    FilmCandidate,
    Model,
)
from cinema.features.recommendations.model.history import film_weights, history
from cinema.features.recommendations.model.paging import make_page
from cinema.features.recommendations.model.popularity import count_popularity
from cinema.features.recommendations.model.ranking import PLACES, ndcg
from cinema.features.recommendations.model.reasons import reason_for
from cinema.features.recommendations.model.refitting import Observed, observed, refit
from cinema.features.recommendations.model.scoring import WEIGHTS, Scorer
from cinema.features.recommendations.model.trials import TrialChoice

CUSTOMERS, FILMS, WEEKS, ASKED_WEEKS = 10_000, 400, 50, 3
QUICK_CUSTOMERS, QUICK_FILMS, QUICK_WEEKS = 1_000, 160, 20
SEED = 1
FANS = 200
"""So many of a new film's fans are asked."""

SERVED_MS = 5.0
"""What 99 of 100 answers take of a node's processor, without what it reads from Postgres."""

REFITTED_FROM = 300
"""So many visits of each week are asked when weights are refitted, as a server asks."""

LAST_TIMES, TIME_TIMES = 1.4, 0.95
ORACLE_SHARE = 0.8

SUMMARY = (
    "films foreseen by one set of weights: MovieLens-100K beside decayed popularity, and "
    f"{CUSTOMERS} customers of known tastes beside the best order that there is"
)

Split = Callable[[Mapping[UUID, Film], Sequence[Sequence[CustomerAct]]], Iterator[Case]]


def gains(wheel: Path, split: Split) -> tuple[float, float]:
    """NDCG@10 of the whole score, and of decayed popularity alone."""
    films, ratings = films_of(wheel), ratings_of(wheel)
    ours, popular = [], []
    for case in split(films, ratings):
        if not case.came:
            continue
        order = Scorer(case.model).order(case.candidates, case.customer)
        ours.append(ndcg([one.candidate.film.id for one in order], case.came))
        ids = [one.film.id for one in case.candidates]
        popular.append(ndcg(by_popularity(ids, case.model), case.came))
    return fmean(ours), fmean(popular)


def by_popularity(ids: Sequence[UUID], model: Model) -> list[UUID]:
    """Films in the order of their decayed bookings."""
    return sorted(ids, key=lambda one: -model.popularity.chain.get(one, 0.0))


class Foreseen:
    """What came of the synthetic cinema."""

    def __init__(self) -> None:
        self.ours: list[float] = []
        self.best: list[float] = []
        self.popular: list[float] = []
        self.ranks: dict[UUID, list[int]] = defaultdict(list)
        self.build_s: list[float] = []
        self.served_ms: list[float] = []
        self.weeks: list[list[Observed]] = []


class Audience:
    """The synthetic cinema, week by week."""

    def __init__(self, customers: int, films: int, weeks: int) -> None:
        self.random = np.random.default_rng(SEED)
        self.luck = Random(SEED)
        self.world: World = make_world(customers, films, self.random)
        self.films = {film.id: film for film in self.world.films}
        self.seen = np.zeros((customers, films))
        self.acts: dict[int, list[CustomerAct]] = defaultdict(list)
        self.weeks = weeks

    def run(self) -> Foreseen:
        """All weeks; the last ones are foreseen, each from those before it."""
        found = Foreseen()
        for week in range(self.weeks):
            if week < self.weeks - ASKED_WEEKS:
                for visit in self.world.visits(week, self.seen, self.random):
                    self.acts[visit.customer] += acts_of(visit, week)
                continue
            self._foresee(week, found)
        return found

    def _foresee(self, week: int, found: Foreseen) -> None:
        began = time.perf_counter()
        model = self._model(week)
        found.build_s.append(time.perf_counter() - began)
        scorer = Scorer(model)
        self._ask_fans(week, scorer, found)
        visits = list(self.world.visits(week, self.seen, self.random))
        for visit in visits:
            came = {UUID(int=visit.film + 1)}
            customer = self._customer(visit.customer, week)
            order, served_ms = self._serve(scorer, customer, week)
            found.served_ms.append(served_ms)
            found.ours.append(recall(order, came))
            found.popular.append(recall(by_popularity(order, model), came))
            found.best.append(recall([UUID(int=one + 1) for one in visit.best], came))
        found.weeks.append(list(observed(scorer, self._choices(visits[:REFITTED_FROM], week))))
        for visit in visits:
            self.acts[visit.customer] += acts_of(visit, week)

    def _choices(self, visits: Sequence[Visit], week: int) -> Iterator[TrialChoice]:
        for visit in visits:
            customer = self._customer(visit.customer, week)
            candidates = self._candidates(customer, week)
            yield TrialChoice(customer, candidates, frozenset({UUID(int=visit.film + 1)}))

    def _ask_fans(self, week: int, scorer: Scorer, found: Foreseen) -> None:
        for number in self.world.running(week):
            film = self.world.films[number]
            if self.world.first_week(number) != week:
                continue
            for fan in sorted(self.world.fans[number])[:FANS]:
                customer = self._customer(fan, week)
                if customer.history:
                    order = self._order(scorer, customer, week)
                    found.ranks[film.id].append(order.index(film.id) + 1)

    def _model(self, week: int) -> Model:
        now_s = week * WEEK_S
        return build(
            [film_weights(acts, now_s) for acts in self.acts.values()],
            self.films,
            [one.film.id for one in self.world.candidates(week)],
            count_popularity([act for acts in self.acts.values() for act in acts], now_s),
            built_at_s=now_s,
        )

    def _customer(self, number: int, week: int) -> Customer:
        return Customer(history=history(self.acts[number], self.films, week * WEEK_S))

    def _candidates(self, customer: Customer, week: int) -> list[FilmCandidate]:
        return [one for one in self.world.candidates(week) if one.film.id not in customer.history]

    def _order(self, scorer: Scorer, customer: Customer, week: int) -> list[UUID]:
        order = scorer.order(self._candidates(customer, week), customer)
        return [one.candidate.film.id for one in order]

    def _serve(self, scorer: Scorer, customer: Customer, week: int) -> tuple[list[UUID], float]:
        """An order of films, and what a page of it with its reasons takes of the processor."""
        candidates = self._candidates(customer, week)
        began = time.process_time()
        order = scorer.order(candidates, customer)
        for one in make_page(order, PLACES, self.luck):
            reason_for(one.scored, customer, scorer)
        served_ms = 1000 * (time.process_time() - began)
        return [one.candidate.film.id for one in order], served_ms


def measure_movielens(bench: Bench, figures: Figures, notes: list[str]) -> list[Target]:
    """Both splits; none without the data."""
    try:
        wheel = cached_wheel()
    except NotToBeHad as problem:
        notes.append(f"MovieLens-100K was left out, because it cannot be had: {problem}")
        return []
    targets = []
    for name, split, wanted in (
        ("leave last", leave_last, LAST_TIMES),
        ("by time", by_time, TIME_TIMES),
    ):
        bench.say(f"recommend: MovieLens, {name}")
        ours, popular = gains(wheel, split)
        figures.add("cinema", f"NDCG@10, {name}", "", Measurement(value=ours))
        figures.add("popularity", f"NDCG@10, {name}", "", Measurement(value=popular))
        text = f"NDCG@10, {name}, beside decayed popularity"
        targets.append(
            Target(text=text, unit="×", wanted=wanted, measured=ours / popular, at_least=True)
        )
        bench.step()
    return targets


def measure_audience(bench: Bench, figures: Figures, notes: list[str]) -> list[Target]:
    """The synthetic cinema."""
    quick = bench.options.quick
    bench.say("recommend: customers of known tastes")
    sizes = (QUICK_CUSTOMERS, QUICK_FILMS, QUICK_WEEKS) if quick else (CUSTOMERS, FILMS, WEEKS)
    found = Audience(*sizes).run()
    for subject, values in (
        ("cinema", found.ours),
        ("popularity", found.popular),
        ("oracle", found.best),
    ):
        figures.add(subject, "recall@10, known tastes", "", Measurement(value=fmean(values)))
    served_ms = quantiles(found.served_ms, n=100)
    figures.add("cinema", "a page with reasons", "ms", Measurement(value=median(found.served_ms)))
    figures.add("cinema", "99th percentile of pages", "ms", Measurement(value=served_ms[98]))
    figures.add("cinema", "build", "s", Measurement(value=median(found.build_s)))
    bench.step()
    if quick:
        notes.append(f"a small cinema: {sizes[0]} customers, {sizes[1]} films, {sizes[2]} weeks")
    *learned, held_out = found.weeks
    refitted = refit([one for week in learned for one in week], held_out, WEIGHTS)
    for subject, value in (
        ("fixed weights", refitted.before),
        ("refitted weights", refitted.after),
    ):
        figures.add(subject, "NDCG@10 of the week held out", "", Measurement(value=value))
    worst = max(median(ranks) for ranks in found.ranks.values())
    share = fmean(found.ours) / fmean(found.best)
    return [
        Target(
            text="recall@10 beside that of the best order",
            unit="×",
            wanted=ORACLE_SHARE,
            measured=share,
            at_least=True,
        ),
        Target(
            text=f"median place of a new film for its genre's fans, worst of {len(found.ranks)}",
            unit="",
            wanted=float(PLACES),
            measured=float(worst),
            at_least=False,
        ),
        Target(
            text="a page with reasons, 99th percentile",
            unit="ms",
            wanted=SERVED_MS,
            measured=served_ms[98],
            at_least=False,
        ),
    ]


async def run_recommend(bench: Bench) -> Outcome:
    """Both once: nothing in them is by chance but their seed."""
    figures, notes = Figures(), [f"seed {SEED}; the same figures on every machine but for times"]
    targets = measure_movielens(bench, figures, notes)
    targets += measure_audience(bench, figures, notes)
    return Outcome(
        scenario="recommend",
        summary=SUMMARY,
        figures=figures.all(),
        targets=targets,
        notes=notes,
        problems=figures.problems,
    )


def steps(_options: Options) -> int:
    return 3


RECOMMEND = Scenario(name="recommend", summary=SUMMARY, steps=steps, run=run_recommend)
