"""The model behind recommendations: signals, order, pages, reasons."""

from __future__ import annotations

from random import Random
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinema.features.recommendations.model import ease
from cinema.features.recommendations.model.building import build
from cinema.features.recommendations.model.content import genre_weights, likeness, profile
from cinema.features.recommendations.model.facts import (
    DAY_S,
    ActKind,
    Customer,
    CustomerAct,
    Film,
    FilmCandidate,
    FilmHistory,
    Model,
    Popularity,
    Slot,
)
from cinema.features.recommendations.model.history import film_weights, history
from cinema.features.recommendations.model.paging import (
    BLOCK,
    GENRE_CAP,
    make_page,
)
from cinema.features.recommendations.model.popularity import count_popularity, shares
from cinema.features.recommendations.model.reasons import POPULAR_BOOKINGS, reason_for
from cinema.features.recommendations.model.scoring import (
    Scored,
    Scorer,
    demand,
    usual_share,
    z_scores,
)

NOW_S = 1_780_000_000.0
GENRES = ("Drama", "Comedy", "Horror", "Western")
CINEMA = UUID(int=900)


def film(number: int, *genres: str) -> Film:
    return Film(id=UUID(int=number), title=f"Film {number}", genres=genres)


def act(
    kind: ActKind, days: float = 0.0, movie: int = 1, cinema: UUID | None = None
) -> CustomerAct:
    return CustomerAct(UUID(int=500), UUID(int=movie), kind, NOW_S - days * DAY_S, cinema)


def past(one: Film, weight: float = 4.0, *, saw: bool = True) -> FilmHistory:
    return FilmHistory(film=one, weight=weight, saw=saw)


def scored(number: int, genre: str | None = None, score: float = 0.0) -> Scored:
    one = film(number, *([] if genre is None else [genre]))
    return Scored(candidate=FilmCandidate(film=one, days_shown=1.0), score=score, parts={})


def test_what_a_customer_did_counts_by_its_kind_and_half_after_half_a_year() -> None:
    acts = [
        act(ActKind.BOOKED, movie=1),
        act(ActKind.ATTENDED, movie=1),
        act(ActKind.LIKED, movie=1),
        act(ActKind.BOOKED, days=180, movie=2),
        act(ActKind.CANCELLED, movie=2),
        act(ActKind.SEAT_MAP, movie=4),
    ]
    weights = film_weights(acts, NOW_S)
    assert weights == {
        UUID(int=1): 6.0,
        UUID(int=2): 0.5,
        UUID(int=4): 0.3,
    }


def test_an_act_of_a_clock_that_is_ahead_counts_as_one_of_now() -> None:
    assert film_weights([act(ActKind.BOOKED, days=-3)], NOW_S) == {UUID(int=1): 3.0}


def test_a_film_was_seen_if_it_was_booked_and_not_given_back() -> None:
    films = {UUID(int=number): film(number) for number in (1, 2, 3)}
    acts = [
        act(ActKind.BOOKED, movie=1),
        act(ActKind.BOOKED, movie=2),
        act(ActKind.CANCELLED, movie=2),
        act(ActKind.SEAT_MAP, movie=3),
        act(ActKind.BOOKED, movie=4),
    ]
    found = history(acts, films, NOW_S)
    assert {one: found[one].saw for one in found} == {
        UUID(int=1): True,
        UUID(int=2): False,
        UUID(int=3): False,
    }


def test_bookings_count_half_after_a_week_and_only_bookings_count() -> None:
    acts = [
        act(ActKind.BOOKED, cinema=CINEMA),
        act(ActKind.BOOKED, days=7, cinema=CINEMA),
        act(ActKind.BOOKED, days=35, movie=2, cinema=CINEMA),
        act(ActKind.BOOKED, movie=2),
        act(ActKind.ATTENDED, cinema=CINEMA),
        act(ActKind.BOOKED, days=-1, cinema=CINEMA),
    ]
    found = count_popularity(acts, NOW_S)
    assert found.chain == {UUID(int=1): 1.5, UUID(int=2): 1.0 + 0.5**5}
    assert found.cinemas == {CINEMA: {UUID(int=1): 1.5, UUID(int=2): 0.5**5}}
    assert found.bookings == {CINEMA: {UUID(int=1): 2}}


def test_a_cinema_with_few_bookings_has_the_popularity_of_the_chain() -> None:
    chain = {UUID(int=1): 900.0, UUID(int=2): 100.0}
    small, large = UUID(int=901), UUID(int=902)
    found = Popularity(
        chain=chain,
        cinemas={small: {UUID(int=2): 1.0}, large: {UUID(int=2): 5000.0}},
    )
    assert shares(found, [])[UUID(int=2)] == pytest.approx(0.1)
    assert 0.1 < shares(found, [small])[UUID(int=2)] < 0.15
    assert shares(found, [large])[UUID(int=2)] > 0.95
    assert sum(shares(found, [small, large]).values()) == pytest.approx(1.0)
    assert shares(Popularity(), [small]) == {}


def test_a_film_that_has_just_begun_is_not_taken_for_one_that_nobody_wants() -> None:
    old, new, dull = (
        FilmCandidate(film=film(1), days_shown=60),
        FilmCandidate(film=film(2), days_shown=0),
        FilmCandidate(film=film(3), days_shown=60),
    )
    first, second, third = demand([old, new, dull], {UUID(int=1): 0.9, UUID(int=3): 0.001})
    assert first > second > third
    assert demand([new], {}) == demand([new], {})


def test_genres_that_say_more_weigh_more() -> None:
    films = [film(1, "Drama"), film(2, "Drama"), film(3, "Drama", "Western"), film(4, "Western")]
    weights = genre_weights(films)
    assert weights["Western"] > weights["Drama"]
    customer = Customer(history={UUID(int=4): past(films[3])})
    liked = profile(customer, weights)
    assert likeness(films[3], liked, weights) > likeness(films[2], liked, weights) > 0
    assert likeness(films[0], liked, weights) == 0
    assert likeness(film(5), liked, weights) == 0


def test_a_genre_that_a_customer_names_counts_without_a_history() -> None:
    weights = genre_weights([film(1, "Drama"), film(2, "Western")])
    liked = profile(Customer(genres=frozenset({"Western"})), weights)
    assert likeness(film(2, "Western"), liked, weights) > 0


def test_what_was_disliked_counts_against_its_genres() -> None:
    weights = genre_weights([film(1, "Drama"), film(2, "Western")])
    disliked = Customer(history={UUID(int=1): past(film(1, "Drama"), -2.0, saw=False)})
    assert likeness(film(1, "Drama"), profile(disliked, weights), weights) < 0


def test_the_matrix_is_that_of_the_regression() -> None:
    """Column by column, as least squares with a penalty on the other films (the naive oracle)."""
    random = np.random.default_rng(3)
    rows = [film(number, GENRES[number % 4]) for number in range(6)]
    seen = (random.random((300, 6)) < 0.4).astype(float)
    histories = [{rows[place].id: 3.0 for place in np.flatnonzero(one)} for one in seen]
    own = np.zeros((6, 6))
    for target in range(6):
        others = [one for one in range(6) if one != target]
        x = seen[:, others]
        normal = x.T @ x + ease.RIDGE * np.eye(5)
        own[others, target] = np.linalg.solve(normal, x.T @ seen[:, target])
    found = np.frombuffer(ease.fit(histories, rows, rows), dtype="<f4").reshape(6, 6)
    counts = seen.sum(axis=0)
    trust = counts / (counts + ease.KNOWN_CUSTOMERS)
    features = np.zeros((6, 5))
    features[np.arange(6), [sorted(GENRES).index(one.genres[0]) for one in rows]] = 1.0
    features[:, -1] = 1.0
    root = np.sqrt(counts)[:, None]
    # The penalty as rows of its own.
    stacked = np.vstack([features * root, np.sqrt(ease.CONTENT_RIDGE) * np.eye(5)])
    wanted = np.vstack([own.T * root, np.zeros((5, 6))])
    solution = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    blended = trust * own + (1 - trust) * (features @ solution).T
    np.fill_diagonal(blended, 0.0)
    np.testing.assert_allclose(found, blended, atol=1e-5)


def test_many_customers_are_added_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [film(number, "Drama") for number in range(4)]
    random = Random(1)
    histories = [{one.id: 3.0 for one in rows if random.random() < 0.5} for _ in range(101)]
    whole = ease.fit(histories, rows, rows)
    monkeypatch.setattr(ease, "CUSTOMERS_AT_ONCE", 10)
    parts = np.frombuffer(ease.fit(histories, rows, rows), dtype="<f4")
    np.testing.assert_allclose(parts, np.frombuffer(whole, dtype="<f4"), atol=1e-5)


def taste_model(candidates: list[Film]) -> Model:
    """Customers who like dramas (films 1 to 5) and others who like westerns (6 to 10)."""
    dramas = [film(number, "Drama") for number in range(1, 6)]
    westerns = [film(number, "Western") for number in range(6, 11)]
    random = Random(5)
    histories = [
        {one.id: 4.0 for one in random.sample(liked, 3)}
        for liked in (dramas, westerns)
        for _ in range(300)
    ]
    films = {one.id: one for one in (*dramas, *westerns, *candidates)}
    return build(
        histories, films, [one.id for one in films.values()], Popularity(), built_at_s=NOW_S
    )


def test_what_others_with_the_same_taste_saw_comes_first_and_new_films_by_their_genre() -> None:
    new_drama, new_western = film(11, "Drama"), film(12, "Western")
    model = taste_model([new_drama, new_western])
    customer = Customer(history={UUID(int=1): past(film(1, "Drama"))})
    candidates = [
        FilmCandidate(film=one, days_shown=1)
        for one in (film(7, "Western"), new_western, film(2, "Drama"), new_drama)
    ]
    scorer = Scorer(model)
    order = [one.candidate.film.id.int for one in scorer.order(candidates, customer)]
    assert set(order[:2]) == {2, 11}
    ease_of = dict(zip((7, 12, 2, 11), scorer.signals(candidates, customer)["ease"], strict=True))
    assert ease_of[2] > ease_of[7]
    assert ease_of[11] > ease_of[12]
    assert scorer.speaks_most(UUID(int=2), customer) == UUID(int=1)
    assert scorer.speaks_most(UUID(int=999), customer) is None


def test_without_numpy_popularity_and_content_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        __import__("sys").modules, "cinema.features.recommendations.model.ease", None
    )
    model = taste_model([])
    assert model.matrix == b""
    assert model.rows == model.columns == []
    customer = Customer(history={UUID(int=1): past(film(1, "Drama"))})
    candidates = [
        FilmCandidate(film=one, days_shown=9) for one in (film(7, "Western"), film(2, "Drama"))
    ]
    order = Scorer(model).order(candidates, customer)
    assert [one.candidate.film.id.int for one in order] == [2, 7]
    assert order[0].parts["ease"] == 0.0


def test_a_film_at_a_usual_time_comes_before_one_at_another() -> None:
    friday, tuesday = Slot(4, 20), Slot(1, 14)
    customer = Customer(slots={friday: 5, tuesday: 1})
    assert usual_share([Slot(4, 21)], customer.slots) == pytest.approx(5 / 6)
    assert usual_share([Slot(4, 22), tuesday], customer.slots) == pytest.approx(1 / 6)
    assert usual_share([Slot(0, 20)], customer.slots) == 0.0
    assert usual_share([friday], {}) == 0.0
    candidates = [
        FilmCandidate(film=film(1), days_shown=9, slots=[tuesday]),
        FilmCandidate(film=film(2), days_shown=9, slots=[friday]),
    ]
    order = Scorer(Model(built_at_s=NOW_S)).order(candidates, customer)
    assert order[0].candidate.film.id == UUID(int=2)


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_signals_are_comparable(values: list[float]) -> None:
    found = z_scores(values)
    assert len(found) == len(values)
    if any(found):
        assert sum(found) == pytest.approx(0.0, abs=1e-5)
        assert sum(one * one for one in found) == pytest.approx(len(values), rel=1e-6)
    # Equal values, and those that differ by rounding only, say nothing.
    assert z_scores([0.1] * 3) == [0.0] * 3
    assert z_scores([60.0, 60.00001]) == [0.0, 0.0]


@st.composite
def orders(draw: st.DrawFn) -> list[Scored]:
    genres = draw(st.lists(st.sampled_from((*GENRES, None)), max_size=40))
    return [scored(number + 1, genre, -float(number)) for number, genre in enumerate(genres)]


@given(orders(), st.integers(1, 20), st.integers(0, 2**32))
def test_a_page_has_each_film_once_and_as_many_as_there_are(
    order: list[Scored], limit: int, seed: int
) -> None:
    page = make_page(order, limit, Random(seed))
    ids = [one.scored.candidate.film.id for one in page]
    assert len(ids) == len(set(ids)) == min(limit, len(order))
    assert set(ids) <= {one.candidate.film.id for one in order}
    assert all(0 < one.propensity <= 1 for one in page)
    assert page == make_page(order, limit, Random(seed))


@given(orders(), st.integers(1, BLOCK), st.integers(0, 2**32))
def test_no_genre_fills_a_page_while_there_are_others(
    order: list[Scored], limit: int, seed: int
) -> None:
    page = make_page(order, limit, Random(seed))
    of_page = [one.scored.candidate.film.genres for one in page]
    others = [one for one in order if one not in [placed.scored for placed in page]]
    for genre in GENRES:
        if of_page.count((genre,)) > GENRE_CAP:
            # There was nothing else to show.
            for one in others:
                first = one.candidate.film.genres
                assert first
                assert of_page.count(first) >= GENRE_CAP


def test_the_order_of_scores_is_kept_but_for_the_place_that_explores() -> None:
    order = [scored(number) for number in range(1, 31)]
    for seed in range(50):
        page = make_page(order, 10, Random(seed))
        kept = [one.scored.candidate.film.id.int for one in page if not one.explored]
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) == 9


@pytest.mark.parametrize("limit", [1, 4, 10])
def test_propensities_are_how_often_films_are_shown(limit: int) -> None:
    order = [scored(number, GENRES[number % 3]) for number in range(1, 16)]
    rounds, shown, said = 20_000, dict.fromkeys(range(1, 16), 0), {}
    random = Random(7)
    for _ in range(rounds):
        for one in make_page(order, limit, random):
            number = one.scored.candidate.film.id.int
            shown[number] += 1
            said.setdefault(number, set()).add(round(one.propensity, 9))
    assert all(len(one) == 1 for one in said.values())
    for number, (propensity,) in said.items():
        # Five standard deviations of this seed: the same on every machine.
        wide = 5 * (propensity * (1 - propensity) / rounds) ** 0.5 + 1e-9
        assert abs(shown[number] / rounds - propensity) <= wide


PARTS = dict.fromkeys(("ease", "popularity", "content", "freshness", "usual"), 0.0)


def told(customer: Customer, model: Model, days_shown: float = 30.0, **parts: float) -> str:
    one = FilmCandidate(film=film(2, "Drama"), days_shown=days_shown, slots=[Slot(4, 20)])
    found = Scored(candidate=one, score=0.0, parts={**PARTS, **parts})
    return reason_for(found, customer, Scorer(model)).code


def test_each_reason_is_given_when_its_signal_says_most_and_it_is_true() -> None:
    model = with_bookings(taste_model([]), UUID(int=2), POPULAR_BOOKINGS)
    fan = Customer(
        history={UUID(int=1): past(film(1, "Drama"))},
        slots={Slot(4, 20): 3},
        cinemas=frozenset({CINEMA}),
    )
    assert told(fan, model, ease=2, popularity=1, content=1) == "because_you_saw"
    assert told(fan, model, ease=1, popularity=2, content=1) == "popular_at"
    assert told(fan, model, ease=1, popularity=1, content=2) == "more_of"
    assert told(fan, model, days_shown=2, freshness=1) == "new_this_week"
    assert told(fan, model, days_shown=2) == "new_this_week"
    assert told(fan, model, days_shown=8, freshness=1) == "showing_soon"
    assert told(fan, model, usual=1) == "your_usual_evening"
    assert told(fan, model) == "showing_soon"
    seldom = Customer(slots={Slot(4, 20): 2})
    assert told(seldom, model, usual=1) == "showing_soon"
    assert told(Customer(), model, ease=1, popularity=1, content=1) == "showing_soon"


def test_popularity_of_few_bookings_is_not_told() -> None:
    customer = Customer(cinemas=frozenset({CINEMA}))
    few = with_bookings(taste_model([]), UUID(int=2), POPULAR_BOOKINGS - 1)
    assert told(customer, few, popularity=5) == "showing_soon"


def test_a_film_that_was_given_back_is_no_reason() -> None:
    returned = Customer(history={UUID(int=1): past(film(1, "Drama"), 2.0, saw=False)})
    assert told(returned, taste_model([]), ease=5) == "showing_soon"


def with_bookings(model: Model, movie_id: UUID, bookings: int) -> Model:

    return msgspec.structs.replace(
        model, popularity=Popularity(bookings={CINEMA: {movie_id: bookings}})
    )


histories_of_others = st.lists(
    st.dictionaries(
        st.integers(1, 8).map(lambda number: UUID(int=number)), st.floats(0.1, 6.0), max_size=5
    ),
    max_size=12,
)


@given(
    histories_of_others,
    st.dictionaries(st.integers(1, 8), st.booleans(), max_size=4),
    st.frozensets(st.sampled_from(GENRES), max_size=2),
)
def test_a_reason_names_only_what_is_the_customers_own(
    others: list[dict[UUID, float]], own: dict[int, bool], genres: frozenset[str]
) -> None:
    films = {UUID(int=number): film(number, GENRES[number % 4]) for number in range(1, 9)}
    model = build(others, films, list(films), Popularity(), built_at_s=NOW_S)
    known = {UUID(int=one): past(films[UUID(int=one)], saw=saw) for one, saw in own.items()}
    customer = Customer(history=known, genres=genres, slots={Slot(2, 19): 4})
    scorer = Scorer(model)
    candidates = [
        FilmCandidate(film=one, days_shown=3, slots=[Slot(2, 19)])
        for one in films.values()
        if one.id not in known
    ]
    for one in scorer.order(candidates, customer):
        reason = reason_for(one, customer, scorer)
        if reason.movie_id is not None:
            assert known[reason.movie_id].saw
        if reason.genre is not None:
            of_history = {genre for seen in known.values() for genre in seen.film.genres}
            assert reason.genre in genres | of_history
        if reason.weekday is not None:
            assert reason.weekday == 2
        assert reason.cinema_id is None
