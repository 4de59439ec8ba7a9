import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.throttles import ThrottleRules, Throttles
from cinema.features.seats.hold_limits import HoldLimits, HoldRates
from cinema.storage.redis.throttle_counts import ThrottleCounts

CINEMA = b"cinema".ljust(16)


def person(number: int, role: str = "customer", *cinemas: bytes) -> Principal:
    return Principal(number.to_bytes(16, "big"), role, bytes(16), 0.0, cinema_ids=cinemas)


class Rig:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.throttles = Throttles(ThrottleCounts(), ThrottleRules())
        rates = HoldRates(
            holds_per_second_per_user=1,
            holds_per_second_per_staff=3,
            holds_per_second_per_address=2,
            holds_burst_seconds=2,
        )
        self.limits = HoldLimits(self.throttles, rates, clock=lambda: self.now_s)

    def passes(self, principal: Principal, address: str = "192.0.2.1") -> bool:
        try:
            self.limits.check(principal, address)
        except Refused as refused:
            self.refusal = refused.rejection
            return False
        return True


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_guests_are_bounded_as_customers_are(rig: Rig) -> None:
    guests = [person(number, "guest") for number in (1, 2, 3)]
    assert [rig.passes(guests[0], f"192.0.2.{at}") for at in range(3)] == [True, True, False]
    crowd = [rig.passes(guest, "192.0.2.9") for guest in guests[1:] * 2]
    assert crowd == [True] * 4
    assert not rig.passes(person(4, "guest"), "192.0.2.9")
    assert rig.throttles.refused == {"holds_user": 1, "holds_address": 1}


def test_one_customer_is_bounded_from_whichever_address(rig: Rig) -> None:
    assert [rig.passes(person(1), f"192.0.2.{at}") for at in range(3)] == [True, True, False]
    assert rig.throttles.refused == {"holds_user": 1}
    assert rig.refusal.code == "RATE_LIMITED"
    assert rig.refusal.details == {"retry_after_s": 1}
    rig.now_s = 1.0
    assert rig.passes(person(1))


def test_all_customers_of_one_address_are_bounded_together(rig: Rig) -> None:
    """Fresh accounts do not help who has only one address."""
    assert [rig.passes(person(number)) for number in range(6)] == [True] * 4 + [False] * 2
    assert rig.throttles.refused == {"holds_address": 2}
    assert rig.passes(person(9), "192.0.2.2")


def test_tills_share_no_bound_with_the_foyer(rig: Rig) -> None:
    for number in range(6):
        rig.passes(person(number))
    assert [rig.passes(person(100, "staff", CINEMA)) for _ in range(7)] == [True] * 6 + [False]
    assert rig.passes(person(101, "manager", CINEMA))
    assert rig.throttles.refused["holds_staff"] == 1


@pytest.mark.parametrize("role", ["staff", "manager"])
def test_who_sells_nowhere_has_the_bounds_of_a_customer(rig: Rig, role: str) -> None:
    assert [rig.passes(person(100, role)) for _ in range(3)] == [True, True, False]
    assert rig.throttles.refused == {"holds_user": 1}
    assert rig.passes(person(102, "admin"))
