"""MovieLens, split in two ways into what the model learns from and what it should have foreseen."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

import msgspec

from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.facts import (
    DAY_S,
    Customer,
    CustomerAct,
    Film,
    FilmCandidate,
    Model,
    Popularity,
)
from cinema.features.recommendations.model.history import film_weights, history
from cinema.features.recommendations.model.popularity import (
    POPULARITY_HALF_LIFE_DAYS,
    count_popularity,
)

LEARNED_SHARE = 0.9
"""Of the ratings, in the order of time; the rest is to be foreseen."""

FOREVER_DAYS = 3650.0
"""How long these films have been shown: none of them is new."""


class Case(msgspec.Struct, frozen=True):
    """A customer at a moment, the films to choose from, and those that were chosen then."""

    model: Model
    customer: Customer
    candidates: list[FilmCandidate]
    came: frozenset[UUID]


def leave_last(
    films: Mapping[UUID, Film], ratings: Sequence[Sequence[CustomerAct]]
) -> Iterator[Case]:
    """The last film of each customer, at its time. Popularity is that of the time before."""
    last: dict[UUID, int] = {}
    for number, one in enumerate(ratings):
        last[one[0].customer_id] = number
    asked = set(last.values())
    learned = [one for number, one in enumerate(ratings) if number not in asked]
    model = _model(films, learned, ratings[-1][0].at_s)
    of_customer, start_s = _by_customer(learned), ratings[0][0].at_s
    # A share does not change if all counts grow: older ones need not decay if later ones grow.
    counts: dict[UUID, float] = defaultdict(float)
    for number, (act, *_) in enumerate(ratings):
        if number not in asked:
            age_days = (act.at_s - start_s) / DAY_S
            counts[act.movie_id] += 2 ** (age_days / POPULARITY_HALF_LIFE_DAYS)
            continue
        yield _case(
            msgspec.structs.replace(model, popularity=Popularity(chain=dict(counts))),
            films,
            of_customer[act.customer_id],
            act.at_s,
            frozenset({act.movie_id}),
        )


def by_time(films: Mapping[UUID, Film], ratings: Sequence[Sequence[CustomerAct]]) -> Iterator[Case]:
    """All later films of each customer, at the end of what is learned."""
    border = int(len(ratings) * LEARNED_SHARE)
    learned, later = ratings[:border], ratings[border:]
    now_s = learned[-1][0].at_s
    model = _model(films, learned, now_s)
    of_customer = _by_customer(learned)
    for customer_id, acts in _by_customer(later).items():
        past = of_customer.get(customer_id, [])
        came = {act.movie_id for act in acts} - {act.movie_id for act in past}
        yield _case(model, films, past, now_s, frozenset(came))


def _case(
    model: Model,
    films: Mapping[UUID, Film],
    past: Sequence[CustomerAct],
    now_s: float,
    came: frozenset[UUID],
) -> Case:
    known = history(past, films, now_s)
    candidates = [
        FilmCandidate(film=film, days_shown=FOREVER_DAYS)
        for film in films.values()
        if film.id not in known
    ]
    return Case(model, Customer(history=known), candidates, came)


def _model(
    films: Mapping[UUID, Film], learned: Sequence[Sequence[CustomerAct]], now_s: float
) -> Model:
    acts = [act for one in learned for act in one]
    return build(
        [film_weights(done, now_s) for done in _by_customer(learned).values()],
        films,
        list(films),
        count_popularity(acts, now_s),
        built_at_s=now_s,
        column_limit=len(films),
    )


def _by_customer(ratings: Sequence[Sequence[CustomerAct]]) -> dict[UUID, list[CustomerAct]]:
    acts: dict[UUID, list[CustomerAct]] = defaultdict(list)
    for one in ratings:
        acts[one[0].customer_id] += one
    return acts
