from datetime import UTC, datetime, timedelta

import pytest

from cinema.domain.limits_catalog import LOGIN_ADDRESS_DAYS, LOGIN_ADDRESSES_KEPT
from cinema.features.accounts.login_addresses_store import LoginAddresses
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ANN, BOB = b"a" * 16, b"b" * 16


def address(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def rows(pool: Pool) -> int:
    count: int = await pool.fetchval("select count(*) from login_addresses")
    return count


async def test_address_is_known_to_the_account_it_signed_in_to(pool: Pool) -> None:
    store = LoginAddresses(pool)
    await store.note(ANN, address(1), NOW)
    assert await store.knows(ANN, address(1), NOW)
    assert not await store.knows(ANN, address(2), NOW)
    assert not await store.knows(BOB, address(1), NOW)


async def test_login_is_written_down_once_a_day(pool: Pool) -> None:
    store = LoginAddresses(pool)
    for later in (timedelta(0), timedelta(hours=23), timedelta(hours=25)):
        await store.note(ANN, address(1), NOW + later)
    assert await pool.fetchval("select last_at from login_addresses") == NOW + timedelta(hours=25)


async def test_latest_addresses_of_an_account_stay(pool: Pool) -> None:
    store = LoginAddresses(pool)
    await store.note(BOB, address(0), NOW)
    for number in range(LOGIN_ADDRESSES_KEPT + 3):
        await store.note(ANN, address(number), NOW + timedelta(minutes=number))
    assert await rows(pool) == LOGIN_ADDRESSES_KEPT + 1
    known = [await store.knows(ANN, address(number), NOW) for number in range(5)]
    assert known == [False, False, False, True, True]


async def test_old_addresses_are_forgotten_and_cleared_away(pool: Pool) -> None:
    store = LoginAddresses(pool)
    await store.note(ANN, address(1), NOW)
    later = NOW + timedelta(days=LOGIN_ADDRESS_DAYS)
    assert not await store.knows(ANN, address(1), later)
    await store.note(BOB, address(2), later)
    assert await rows(pool) == 1
