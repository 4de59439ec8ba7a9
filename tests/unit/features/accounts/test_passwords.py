import asyncio
import os
import sys
import threading

import bcrypt
import pytest

from cinema.domain.rejections import Refused
from cinema.features.accounts.passwords import NICENESS, NO_PASSWORD, PasswordHasher


@pytest.fixture
async def hasher() -> PasswordHasher:
    return PasswordHasher(10)


async def test_stored_hash_matches_its_password_only(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("correct horse", "ip")
    assert await hasher.matches("correct horse", stored, "ip")
    assert not await hasher.matches("correct horsf", stored, "ip")
    assert stored.startswith("$2b$10$")


@pytest.mark.parametrize("password", ["", NO_PASSWORD, "correct horse"])
async def test_where_there_is_no_password_nothing_matches(
    hasher: PasswordHasher, password: str
) -> None:
    assert not await hasher.matches(password, NO_PASSWORD, "ip")
    assert not await hasher.matches(password, None, "ip")


async def test_all_of_a_long_password_counts(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("a" * 100 + "x", "ip")
    assert not await hasher.matches("a" * 100 + "y", stored, "ip")
    stored = await hasher.hash("a\x00x", "ip")
    assert not await hasher.matches("a\x00y", stored, "ip")


async def test_keyboards_that_compose_accents_differently_agree(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("caf\u00e9-secret", "ip")
    assert await hasher.matches("cafe\u0301-secret", stored, "ip")


async def test_nobody_is_compared_with_the_same_effort_and_never_matches(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = []
    real = bcrypt.checkpw

    def recording(password: bytes, hashed: bytes) -> bool:
        costs.append(hashed[:7])
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", recording)
    stored = await hasher.hash("secret-secret", "ip")
    assert not await hasher.matches("wrong-wrong", stored, "ip")
    assert not await hasher.matches("", None, "ip")
    assert costs == [b"$2b$10$", b"$2b$10$"]


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The cost of each hash that is made or compared from here on."""
    costs: list[int] = []
    checkpw, hashpw = bcrypt.checkpw, bcrypt.hashpw

    def check(password: bytes, hashed: bytes) -> bool:
        costs.append(int(hashed[4:6]))
        return checkpw(password, hashed)

    def make(password: bytes, salt: bytes) -> bytes:
        costs.append(int(salt[4:6]))
        return hashpw(password, salt)

    monkeypatch.setattr(bcrypt, "checkpw", check)
    monkeypatch.setattr(bcrypt, "hashpw", make)
    return costs


def test_a_start_hashes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = recorded(monkeypatch)
    PasswordHasher(10).close()
    assert costs == []


@pytest.mark.parametrize("password", ["secret-secret", "wrong-wrong"])
async def test_old_hash_nobody_and_a_current_one_cost_the_same(
    hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    old = await hasher.hash("secret-secret", "ip")
    dearer = PasswordHasher(12)
    current = await dearer.hash("secret-secret", "ip")
    costs = recorded(monkeypatch)
    work = []
    for stored in (old, current, None):
        costs.clear()
        right = await dearer.matches(password, stored, "ip")
        assert right is (password == "secret-secret" and stored is not None)
        work.append(sum(2**cost for cost in costs))
    assert work == [2**12] * 3
    dearer.close()


async def test_hash_of_another_cost_is_outdated(hasher: PasswordHasher) -> None:
    stored = await hasher.hash("secret-secret", "ip")
    assert not hasher.is_outdated(stored)
    for cost in (10, 11):
        other = PasswordHasher(cost)
        assert other.is_outdated(stored) is (cost != 10)
        other.close()


async def test_full_queue_is_overloaded_and_recovers() -> None:
    hasher = PasswordHasher(10, threads=1, queue_limit=2, wait_s=None)
    results = await asyncio.gather(
        *(hasher.hash("secret-secret", "ip") for _ in range(5)), return_exceptions=True
    )
    refused = [one for one in results if isinstance(one, Refused)]
    assert [one.rejection.code for one in refused] == ["OVERLOADED"] * 2
    assert refused[0].rejection.details == {"retry_after_s": 2}
    assert await hasher.hash("secret-secret", "ip")


async def test_all_addresses_of_a_subscriber_have_one_share() -> None:
    hasher = PasswordHasher(10, threads=1, queue_limit=8, share=2, wait_s=None)
    results = await asyncio.gather(
        *(hasher.hash("secret-secret", f"2001:db8::{host:x}") for host in range(1, 6)),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, Refused)]
    assert [one.rejection.code for one in refused] == ["OVERLOADED"] * 2
    hasher.close()


async def test_loop_runs_on_while_a_password_is_hashed(hasher: PasswordHasher) -> None:
    hashing = asyncio.ensure_future(hasher.hash("secret-secret", "ip"))
    turns = 0
    while not hashing.done() and turns < 3:
        await asyncio.sleep(0)
        turns += 1
    assert turns == 3
    await hashing


def test_weak_cost_is_refused() -> None:
    with pytest.raises(ValueError, match="below 10"):
        PasswordHasher(9)


async def test_one_address_does_not_take_the_whole_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eighty connections of one client, and then one login of somebody else."""
    order: list[bytes] = []
    monkeypatch.setattr(bcrypt, "checkpw", lambda password, _: bool(order.append(password)))
    hasher = PasswordHasher(10, threads=1, wait_s=None)
    stored = await hasher.hash("secret-secret", "")
    crowd = [asyncio.ensure_future(hasher.matches("crowd", stored, "192.0.2.1")) for _ in range(80)]
    other = asyncio.ensure_future(hasher.matches("other", stored, "192.0.2.2"))
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert not await other
    assert sum(isinstance(one, Refused) for one in results) == 71
    assert hasher.refused == 71
    assert len(set(order[:3])) == 2, "the other came third at the latest"


async def test_work_of_who_waits_no_more_keeps_its_thread_until_it_is_done() -> None:
    hasher = PasswordHasher(10, threads=1, queue_limit=1)
    given_up = asyncio.ensure_future(hasher.hash("secret-secret", "a"))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(hasher.hash("secret-secret", "b"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    assert hasher.waiting == 1
    assert await waiting


async def test_no_hash_is_made_for_who_has_hung_up_in_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    costs = recorded(monkeypatch)
    hasher = PasswordHasher(10, threads=1)
    first = asyncio.ensure_future(hasher.hash("secret-secret", "a"))
    await asyncio.sleep(0)
    left = asyncio.ensure_future(hasher.hash("secret-secret", "b", lambda: True))
    other = asyncio.ensure_future(hasher.matches("secret-secret", None, "c", lambda: False))
    assert await first
    assert not await other
    with pytest.raises(Refused) as refused:
        await left
    assert refused.value.rejection.code == "OVERLOADED"
    assert (len(costs), hasher.refused) == (2, 1)
    hasher.close()


async def test_password_that_waits_too_long_is_overloaded() -> None:
    hasher = PasswordHasher(10, threads=1, wait_s=0.0)
    first = asyncio.ensure_future(hasher.hash("secret-secret", "a"))
    await asyncio.sleep(0)
    with pytest.raises(Refused) as refused:
        await hasher.hash("secret-secret", "b")
    assert refused.value.rejection.details == {"retry_after_s": 2}
    assert hasher.waiting == 0
    assert await first
    hasher.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has a niceness only on Linux")
async def test_threads_that_hash_give_way_to_the_others(hasher: PasswordHasher) -> None:
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    found: list[int] = []

    real = bcrypt.hashpw

    def recording(password: bytes, salt: bytes) -> bytes:
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return real(password, salt)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bcrypt, "hashpw", recording)
        await hasher.hash("secret-secret", "ip")
    assert found == [min(ours + NICENESS, 19)]
    assert os.getpriority(os.PRIO_PROCESS, 0) == ours
