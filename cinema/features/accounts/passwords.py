"""Password hashing with bcrypt, outside the event loop and bounded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import sys
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

import bcrypt

from cinema.domain.addresses import address_key
from cinema.domain.limits_catalog import (
    HASHING_QUEUE,
    HASHING_RETRY_AFTER_S,
    HASHING_SHARE,
    HASHING_THREADS,
    HASHING_WAIT_S,
)
from cinema.domain.rejections import refuse
from cinema.features.accounts.fair_turns import FairTurns, NoRoom
from cinema.features.accounts.shapes import stays

COST_MIN: Final = 10

OURSELVES: Final = ""
"""Used in place of a client's address when the server itself hashes a password."""

NO_PASSWORD: Final = "none"  # noqa: S105  (that there is none)
"""Stored if an account has no password."""

DIGEST_CHARS: Final = 31
"""Behind the salt of a bcrypt hash."""

NICENESS: Final = 10
"""How much nicer the hashing threads are than the server. There are as many of them as cores, so
seats would otherwise wait for passwords."""

T = TypeVar("T")


class PasswordHasher:
    """Hashes and compares passwords in a few threads; the addresses that ask take turns.

    An address is refused with OVERLOADED if it has `share` requests waiting, or if the queue is
    full and no other address has more in it. So one address can neither fill the queue nor keep
    the others waiting. Addresses count as for throttles, IPv6 by /64. Nobody waits longer than
    `wait_s`, and a client that hangs up in the queue (`has_left`) gets no hash: both are refused
    with OVERLOADED too.

    A password goes through NFKC (keyboards write the same character differently), SHA-256 and
    base64 before bcrypt, which would otherwise ignore all beyond 72 bytes and stop at a zero byte.
    """

    def __init__(
        self,
        cost: int,
        *,
        threads: int = HASHING_THREADS,
        queue_limit: int = HASHING_QUEUE,
        share: int = HASHING_SHARE,
        wait_s: float | None = HASHING_WAIT_S,
    ) -> None:
        if cost < COST_MIN:
            raise ValueError(f"a bcrypt cost below {COST_MIN} is too weak")
        self._cost = cost
        self._turns = FairTurns(threads, queue_limit=queue_limit, share=share, wait_s=wait_s)
        self._threads = ThreadPoolExecutor(
            threads,
            thread_name_prefix="passwords",
            initializer=_give_way if sys.platform == "linux" else None,
        )
        self.refused = 0
        # Used when there is no account, so that this takes as long as a wrong password. That it is
        # the hash of something is not needed: whatever is equal to it is refused too.
        self._nobody = bcrypt.gensalt(cost).decode() + "." * DIGEST_CHARS

    @property
    def waiting(self) -> int:
        """Passwords that wait for a thread."""
        return self._turns.waiting

    async def hash(
        self, password: str, address: str, has_left: Callable[[], bool | None] = stays
    ) -> str:
        """The text to store for a password that came from `address`."""
        return await self._run(
            address,
            has_left,
            lambda: bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._cost)).decode(),
        )

    async def matches(
        self,
        password: str,
        stored: str | None,
        address: str,
        has_left: Callable[[], bool | None] = stays,
    ) -> bool:
        """Whether this is the password; the hash is None without an account.

        It takes as long as a hash of the configured cost, also for no account and `NO_PASSWORD`, so
        that the time does not tell who has an account. Only hashes of a higher cost take longer.
        """
        is_set = stored is not None and stored != NO_PASSWORD
        against = stored if stored is not None and is_set else self._nobody
        equal = await self._run(
            address, has_left, lambda: self._compare(_digest(password), against)
        )
        return equal and is_set

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash has another cost than the configured one."""
        return _cost_of(stored) != self._cost

    def close(self) -> None:
        """Stop the threads; passwords that wait are cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _compare(self, digest: bytes, against: str) -> bool:
        equal = bcrypt.checkpw(digest, against.encode())
        # Each cost is twice the work of the one below it: 2^n and 2^n + … + 2^m make 2^(m + 1).
        for cost in range(_cost_of(against), self._cost):
            bcrypt.hashpw(digest, bcrypt.gensalt(cost))
        return equal

    async def _run(
        self, address: str, has_left: Callable[[], bool | None], work: Callable[[], T]
    ) -> T:
        try:
            await self._turns.begin(address_key(address), has_left)
        except NoRoom:
            self.refused += 1
            raise refuse("OVERLOADED", retry_after_s=HASHING_RETRY_AFTER_S) from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # The thread goes on working if the caller is cancelled, so the turn ends with the work.
        running.add_done_callback(self._worked)
        return await asyncio.shield(running)

    def _worked(self, running: asyncio.Future[T]) -> None:
        self._turns.end()
        # The caller has seen the exception, or was cancelled and does not need it.
        with suppress(asyncio.CancelledError):
            running.exception()


def _give_way() -> None:
    """Give this thread a low priority; for Linux, where a thread has a niceness."""
    with suppress(OSError):
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread) + NICENESS
        os.setpriority(os.PRIO_PROCESS, thread, nice)


def _cost_of(stored: str) -> int:
    """The cost of a hash, as in `$2b$12$…`."""
    return int(stored.split("$")[2])


def _digest(password: str) -> bytes:
    normal = unicodedata.normalize("NFKC", password)
    return base64.b64encode(hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest())
