"""Which showtimes and films are sold out, or nearly."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest

from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Outcome, ReadSeats, Unavailable
from cinema.features.showtimes import availability_service
from cinema.features.showtimes.availability_service import AvailabilityService
from cinema.features.showtimes.availability_store import AvailabilityRepository
from tests.e2e.api.house import LABELS, PATIENCE_S, UNKNOWN_ID, House
from tests.e2e.api.showtimes import cancel, shown
from tests.support.waiting import look_again

pytestmark = pytest.mark.asyncio(loop_scope="module")

FEW = 4


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for over HTTP is looked at once here, however long a busy machine takes."""
    monkeypatch.setattr(availability_service, "FRESH_S", 3600.0)
    monkeypatch.setattr(availability_service, "PATIENCE_S", PATIENCE_S)


async def fill(house: House, showtime_id: str, *, left: int = 0) -> None:
    """Book all seats but the last ones."""
    wanted = LABELS[: len(LABELS) - left]
    for first in range(0, len(wanted), 8):
        await house.booked("staff", showtime_id, *wanted[first : first + 8])


async def levels(house: House, what: str, *ids: str, **query: str) -> dict[str, str]:
    """The level by id, as the server says."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    answer = await house.ask(None, "GET", f"{what}/availability?ids={','.join(ids)}{more}")
    assert answer.status == 200, answer
    assert answer.headers["Cache-Control"] == "public, max-age=0, s-maxage=10"
    return {one[f"{what[:-1]}_id"]: one["level"] for one in answer.data}


async def film(house: House) -> str:
    body = {"title": "Another", "runtime_minutes": 90}
    return str((await house.ask("admin", "POST", "movies", body)).data["id"])


async def test_showtimes_are_called_full_nearly_full_or_open(house: House) -> None:
    full, nearly, empty, gone = [await house.showtime() for _ in range(4)]
    await fill(house, full)
    await fill(house, nearly, left=FEW)
    assert (await cancel(house, gone)).status == 200
    found = await levels(house, "showtimes", full, gone, nearly, UNKNOWN_ID, empty, full)
    assert found == {full: "sold_out", nearly: "few_left", empty: "available"}
    assert list(found) == [full, nearly, empty]


async def test_held_seats_are_not_free_for_anybody_else(house: House) -> None:
    showtime_id = await house.showtime()
    await fill(house, showtime_id, left=1)
    await house.held("ada", showtime_id, LABELS[-1])
    assert await levels(house, "showtimes", showtime_id) == {showtime_id: "sold_out"}


async def test_a_showtime_whose_seats_are_kept_for_others_is_not_for_sale_to_the_web(
    house: House,
) -> None:
    kept = [{"channel": "box_office", "seats": len(LABELS)}]
    showtime_id = await house.showtime(channels=kept)
    partly = await house.showtime(channels=[{"channel": "box_office", "seats": len(LABELS) - 2}])
    assert await levels(house, "showtimes", showtime_id, partly) == {
        showtime_id: "sold_out",
        partly: "few_left",
    }


async def test_a_film_is_as_open_as_its_emptiest_showtime(house: House) -> None:
    full, mixed, nothing = [await film(house) for _ in range(3)]
    of_full = [await house.showtime(movie_id=full) for _ in range(2)]
    of_mixed = [await house.showtime(movie_id=mixed) for _ in range(2)]
    for one in (*of_full, of_mixed[0]):
        await fill(house, one)
    await fill(house, of_mixed[1], left=2)
    found = await levels(house, "movies", full, mixed, nothing)
    assert found == {full: "sold_out", mixed: "few_left"}
    empty = await house.showtime(movie_id=full)
    assert await levels(house, "movies", full) == {full: "available"}
    assert (await cancel(house, empty)).status == 200
    assert await levels(house, "movies", full) == {full: "sold_out"}


async def test_only_showtimes_of_the_day_and_the_cinema_count(house: House) -> None:
    movie_id = await film(house)
    first, second = [await house.showtime(movie_id=movie_id) for _ in range(2)]
    await fill(house, first)
    days = [(await shown(house, one))["starts_at"] for one in (first, second)]
    zone = "select local_date from showtimes where id = $1"
    dates = [str(await house.database.fetchval(zone, one)) for one in (first, second)]
    assert days[0] < days[1]
    assert await levels(house, "movies", movie_id, date=dates[0]) == {movie_id: "sold_out"}
    assert await levels(house, "movies", movie_id, date=dates[1]) == {movie_id: "available"}
    here, elsewhere = house.cinema_id, UNKNOWN_ID
    found = await levels(house, "movies", movie_id, date=dates[0], cinema_id=here)
    assert found == {movie_id: "sold_out"}
    assert await levels(house, "movies", movie_id, cinema_id=elsewhere) == {}
    for never in ("0001-01-01", "9999-12-31"):
        assert await levels(house, "movies", movie_id, date=never) == {}


async def test_a_film_with_more_showtimes_than_are_looked_at_is_not_called_sold_out(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    movie_id = await film(house)
    for _ in range(2):
        await fill(house, await house.showtime(movie_id=movie_id))
    monkeypatch.setattr(availability_service, "SHOWS_PER_MOVIE", 1)
    assert await levels(house, "movies", movie_id) == {}
    monkeypatch.setattr(availability_service, "SHOWS_PER_MOVIE", 2)
    assert await levels(house, "movies", movie_id) == {movie_id: "sold_out"}


async def test_ids_are_bounded_and_ids(house: House) -> None:
    for what in ("showtimes", "movies"):
        for ids in ("", "x", f"{UNKNOWN_ID},", ",".join([UNKNOWN_ID] * 101), UNKNOWN_ID.upper()):
            answer = await house.ask(None, "GET", f"{what}/availability?ids={ids}")
            assert answer.error == (400, "VALIDATION_ERROR")
        assert await levels(house, what, *[UNKNOWN_ID] * 100) == {}


# --- the service, by a clock of the test


class Counted:
    """A node's kernel; notes whose seats are read, and may say nothing."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch
        self.read: list[UUID] = []
        self.asked = asyncio.Event()
        self.is_busy = self.hangs = False

    async def read_seats(self, showtime_id: bytes, query: ReadSeats) -> Outcome:
        self.read.append(UUID(bytes=showtime_id))
        self.asked.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.is_busy:
            return Unavailable("RETRY")
        return await self._dispatch.read_seats(showtime_id, query)


class Looks:
    """The service on the node of a house, with a clock that the test moves."""

    def __init__(self, house: House) -> None:
        self.steady_s = 0.0
        self.kernel = Counted(house.node.kernel)
        # One connection is enough: all reads go by `reads`.
        store = AvailabilityRepository(None, house.database)  # type: ignore[arg-type]
        self.service = AvailabilityService(
            store,
            self.kernel,  # type: ignore[arg-type]
            now=lambda: datetime.now(UTC),
            steady_s=lambda: self.steady_s,
        )

    async def level(self, showtime_id: str) -> str | None:
        found = await self.service.of_showtimes([UUID(showtime_id)])
        return found[0].level if found else None

    def later(self) -> None:
        """Until nothing that was seen is shown unasked."""
        self.steady_s += availability_service.FRESH_S


async def test_what_was_seen_is_shown_for_a_while_and_then_asked_for(house: House) -> None:
    looks, showtime_id = Looks(house), await house.showtime()
    assert await looks.level(showtime_id) == "available"
    await fill(house, showtime_id)
    assert await looks.level(showtime_id) == "available"
    assert len(looks.kernel.read) == 1
    looks.later()
    assert await looks.level(showtime_id) == "sold_out"
    assert len(looks.kernel.read) == 2


async def test_a_showtime_that_has_not_moved_is_not_read_again(house: House) -> None:
    looks, showtime_id = Looks(house), await house.showtime()
    await fill(house, showtime_id, left=FEW)
    for _ in range(3):
        assert await looks.level(showtime_id) == "few_left"
        looks.later()
    assert len(looks.kernel.read) == 1
    # A hold ends by itself, so its showtime is looked at.
    await house.held("ada", showtime_id, LABELS[-1])
    for times in (2, 3):
        assert await looks.level(showtime_id) == "few_left"
        looks.later()
        assert len(looks.kernel.read) == times


async def test_many_who_ask_at_once_make_one_look(house: House) -> None:
    looks, showtimes = Looks(house), [await house.showtime() for _ in range(12)]
    ids = [UUID(one) for one in showtimes]
    answers = await asyncio.gather(*(looks.service.of_showtimes(ids) for _ in range(20)))
    assert all([one.showtime_id for one in found] == ids for found in answers)
    assert sorted(looks.kernel.read) == sorted(ids)


async def test_a_showtime_that_does_not_answer_is_left_out_until_later(house: House) -> None:
    looks, showtime_id = Looks(house), await house.showtime()
    looks.kernel.is_busy = True
    assert await looks.level(showtime_id) is None
    looks.kernel.is_busy = False
    assert await looks.level(showtime_id) is None
    looks.later()
    assert await looks.level(showtime_id) == "available"


async def test_a_look_that_takes_too_long_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, showtime_id = Looks(house), await house.showtime()
    looks.kernel.hangs = True
    monkeypatch.setattr(availability_service, "PATIENCE_S", 0.01)
    assert await looks.level(showtime_id) is None
    assert await looks.service.of_movies([UUID(house.movie_id)], day=None, cinema_id=None) == []
    looks.kernel.hangs = False
    monkeypatch.setattr(availability_service, "PATIENCE_S", PATIENCE_S)
    looks.later()
    assert await looks.level(showtime_id) == "available"


async def test_whoever_asks_next_does_not_wait_for_a_showtime_that_hangs(house: House) -> None:
    looks, showtime_id = Looks(house), await house.showtime()
    looks.kernel.hangs = True
    asking = asyncio.create_task(looks.level(showtime_id))
    async with asyncio.timeout(PATIENCE_S):
        await looks.kernel.asked.wait()
        asking.cancel()
        assert await looks.level(showtime_id) is None
    assert len(looks.kernel.read) == 1


async def test_who_asks_for_what_is_known_does_not_wait_for_the_look_of_another(
    house: House,
) -> None:
    looks, known, cold = Looks(house), await house.showtime(), await house.showtime()
    assert await looks.level(known) == "available"
    looks.kernel.hangs = True
    looking = asyncio.create_task(looks.level(cold))
    async with asyncio.timeout(PATIENCE_S):
        while UUID(cold) not in looks.kernel.read:
            await look_again()
    assert await looks.level(known) == "available"
    assert not looking.done()
    looking.cancel()
    await asyncio.wait((looking,))


async def test_only_so_many_showtimes_are_remembered(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(availability_service, "KEPT", 2)
    looks, showtimes = Looks(house), [await house.showtime() for _ in range(3)]
    for one in showtimes:
        assert await looks.level(one) == "available"
    assert await looks.level(showtimes[2]) == "available"
    assert len(looks.kernel.read) == 3
    assert await looks.level(showtimes[0]) == "available"
    assert len(looks.kernel.read) == 4
