from collections.abc import Callable

import pytest

from cinema.domain.rejections import Refused
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.watching.socket_places import SocketPlaces
from cinema.storage.redis.throttle_counts import ThrottleCounts


@pytest.fixture
def places() -> SocketPlaces:
    throttles = Throttles(ThrottleCounts(), ThrottleRules())
    return SocketPlaces(throttles, per_address=3, per_user=2)


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except Refused as refused:
        return refused.rejection.details == {"retry_after_s": 10}
    return False


def test_sockets_of_one_address_are_bounded_until_one_closes(places: SocketPlaces) -> None:
    opened = [places.open("a") for _ in range(3)]
    assert refuses(lambda: places.open("a"))
    places.open("b").close()
    opened[0].close()
    assert not refuses(lambda: places.open("a"))


def test_sockets_of_one_user_are_bounded_and_a_refused_one_stays_whose_it_was(
    places: SocketPlaces,
) -> None:
    first, second, third = (places.open(address) for address in "abc")
    for place in (first, second, first):
        place.sign_in(b"ann")
    third.sign_in(b"bob")
    assert refuses(lambda: third.sign_in(b"ann"))
    second.sign_in(b"eve")
    third.sign_in(b"ann")
    for place in (first, second, third):
        place.close()
    assert len(places) == 0
