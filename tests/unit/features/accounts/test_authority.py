"""Who may see and do what at which cinema."""

from __future__ import annotations

from uuid import UUID

import pytest

from cinema.domain.principal import ADMIN, CUSTOMER, GUEST, MANAGER, STAFF, Principal
from cinema.features.accounts.authority import has_counter, own_cinemas, serves, sight_of

ME = UUID(int=1)
HERE, THERE = UUID(int=2), UUID(int=3)


def caller(role: str, *cinema_ids: UUID) -> Principal:
    return Principal(
        user_id=ME.bytes,
        role=role,
        session_id=bytes(16),
        expires_at_s=0,
        cinema_ids=frozenset(one.bytes for one in cinema_ids),
    )


def test_an_admin_belongs_to_all_cinemas_and_others_to_theirs_in_order() -> None:
    assert own_cinemas(caller(ADMIN)) is None
    assert own_cinemas(caller(MANAGER, THERE, HERE)) == [HERE, THERE]
    assert own_cinemas(caller(CUSTOMER)) == []


def test_an_admin_sees_the_bookings_of_everybody() -> None:
    assert sight_of(caller(ADMIN)) == (None, [])
    assert sight_of(caller(ADMIN, HERE))[0] is None


@pytest.mark.parametrize("role", [STAFF, MANAGER])
def test_who_works_at_cinemas_sees_their_bookings_and_the_own(role: str) -> None:
    assert sight_of(caller(role, THERE, HERE)) == (ME, [HERE, THERE])


@pytest.mark.parametrize("role", [CUSTOMER, GUEST])
def test_customers_see_their_own_bookings_whatever_cinemas_they_had(role: str) -> None:
    assert sight_of(caller(role, HERE)) == (ME, [])


@pytest.mark.parametrize(
    ("role", "cinema_ids", "at", "expected"),
    [
        (ADMIN, (), THERE, True),
        (ADMIN, (), None, True),
        (STAFF, (HERE,), HERE, True),
        (STAFF, (HERE,), THERE, False),
        (STAFF, (HERE,), None, False),
        (CUSTOMER, (HERE,), HERE, False),
    ],
)
def test_a_counter_is_served_by_those_who_work_there(
    role: str, cinema_ids: tuple[UUID, ...], at: UUID | None, expected: bool
) -> None:
    assert serves(caller(role, *cinema_ids), at) is expected


def test_staff_without_a_cinema_have_no_counter() -> None:
    assert has_counter(caller(ADMIN))
    assert has_counter(caller(STAFF, HERE))
    assert not has_counter(caller(STAFF))
    assert not has_counter(caller(CUSTOMER, HERE))
