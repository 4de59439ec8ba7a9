"""A cinema whose customers' tastes are known, so that the best possible order is known too.

Films come in weekly waves, run for some weeks, and get old. Each week some customers choose one of
those that they have not seen, by a softmax over what each film is worth to them. The worth is
hidden from the model: it comes from tastes for genres, from traits of a film that its genres do
not show, from its quality and its age.
"""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from cinema.features.recommendations.model.facts import (
    DAY_S,
    ActKind,
    CustomerAct,
    Film,
    FilmCandidate,
)

GENRES = 12
TRAITS = 16
WAVE_FILMS = 8
WEEKS_SHOWN = 6
WEEKLY_VISITS = 0.3
TASTE_PER_TRAIT = 3.0
QUALITY = 0.5
TRAIT_SPREAD = 0.4
TASTE_SPREAD = 0.2
GENRE_FOCUS = 0.15
FAN_SHARE = 0.5
AGEING_PER_WEEK = 0.15
WEEK_S = 7 * DAY_S

Array = NDArray[np.float64]


class Visit(msgspec.Struct, frozen=True):
    """A customer in a week, with the film that was chosen and the best order there was."""

    customer: int
    film: int
    best: list[int]


class World(msgspec.Struct, frozen=True):
    """Customers and films, and what each film is worth to each customer."""

    films: list[Film]
    worth: Array
    fans: list[set[int]]
    """By film: the customers whose favourite genre is its first."""

    def running(self, week: int) -> list[int]:
        """The films that are shown in a week."""
        first = max(0, week - WEEKS_SHOWN + 1) * WAVE_FILMS
        return list(range(first, min(len(self.films), (week + 1) * WAVE_FILMS)))

    def first_week(self, film: int) -> int:
        """The week in which a film begins."""
        return film // WAVE_FILMS

    def candidates(self, week: int) -> list[FilmCandidate]:
        """The films of a week, on its first day."""
        return [
            FilmCandidate(film=self.films[one], days_shown=(week - one // WAVE_FILMS) * 7.0)
            for one in self.running(week)
        ]

    def visits(self, week: int, seen: Array, random: np.random.Generator) -> Iterator[Visit]:
        """What happens in a week; `seen` is changed with it."""
        running = np.array(self.running(week))
        ages = week - running // WAVE_FILMS
        for customer in np.flatnonzero(random.random(len(seen)) < WEEKLY_VISITS):
            value = self.worth[customer, running] - AGEING_PER_WEEK * ages
            value[seen[customer, running] > 0] = -np.inf
            chances = np.exp(value - value.max())
            film = int(random.choice(running, p=chances / chances.sum()))
            best = running[np.argsort(-value, kind="stable")]
            seen[customer, film] = 1.0
            yield Visit(int(customer), film, [int(one) for one in best])


def make_world(customers: int, films: int, random: np.random.Generator) -> World:
    """A world by chance."""
    genres = random.normal(size=(GENRES, TRAITS)) / TRAITS**0.5
    of_films = [
        [int(one) for one in random.choice(GENRES, size=random.integers(1, 3), replace=False)]
        for _ in range(films)
    ]
    traits = np.array([genres[one].mean(axis=0) for one in of_films])
    traits += TRAIT_SPREAD * random.normal(size=traits.shape) / TRAITS**0.5
    liked = random.dirichlet(np.full(GENRES, GENRE_FOCUS), size=customers)
    tastes = liked @ genres + TASTE_SPREAD * random.normal(size=(customers, TRAITS)) / TRAITS**0.5
    tastes /= np.linalg.norm(tastes, axis=1, keepdims=True)
    quality = QUALITY * random.normal(size=films)
    favourites = liked.argmax(axis=1)
    return World(
        films=[
            Film(
                id=UUID(int=number + 1),
                title=f"Film {number + 1}",
                genres=tuple(f"genre-{genre}" for genre in one),
            )
            for number, one in enumerate(of_films)
        ],
        worth=TASTE_PER_TRAIT * tastes @ traits.T + quality,
        fans=[
            {
                int(one)
                for one in np.flatnonzero(
                    (favourites == film[0]) & (liked.max(axis=1) >= FAN_SHARE)
                )
            }
            for film in of_films
        ],
    )


def acts_of(visit: Visit, week: int) -> list[CustomerAct]:
    """What the model is told of a visit."""
    customer_id, movie_id = UUID(int=visit.customer + 1), UUID(int=visit.film + 1)
    at_s = (week + 0.5) * WEEK_S
    kinds = (ActKind.BOOKED, ActKind.ATTENDED)
    return [CustomerAct(customer_id, movie_id, kind, at_s) for kind in kinds]
