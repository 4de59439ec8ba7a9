"""Password hashing with bcrypt, away from the event loop and bounded."""

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
)
from cinema.domain.rejections import refuse
from cinema.features.accounts.fair_turns import FairTurns, NoRoom

COST_MIN: Final = 10

OURSELVES: Final = ""
"""Stands for the address of a client where the server itself has a password hashed."""

NO_PASSWORD: Final = "none"  # noqa: S105  (that there is none)
"""Stored where there is no password that anybody could know."""

NICENESS: Final = 10
"""Of the threads that hash, above the server's own: with as many threads as cores, seats would
otherwise wait for passwords."""

T = TypeVar("T")


class PasswordHasher:
    """Hashes and compares passwords in a few threads, in rotation of the addresses that ask.

    Who has `share` waiting already, or meets a full queue of those who have no more than itself,
    is OVERLOADED: one address can neither fill the queue nor keep the others waiting. Addresses
    count as for throttles, IPv6 by /64.

    A password goes through NFKC (keyboards differ in how they write one character), SHA-256 and
    base64 before bcrypt, which would otherwise ignore all beyond 72 bytes and stop at a zero.
    """

    def __init__(
        self,
        cost: int,
        *,
        threads: int = HASHING_THREADS,
        queue_limit: int = HASHING_QUEUE,
        share: int = HASHING_SHARE,
    ) -> None:
        if cost < COST_MIN:
            raise ValueError(f"a bcrypt cost below {COST_MIN} is too weak")
        self._cost = cost
        self._turns = FairTurns(threads, queue_limit=queue_limit, share=share)
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="passwords", initializer=_give_way
        )
        self.refused = 0
        # Compared with when there is no account, so that this takes as long as a wrong password.
        self._nobody = bcrypt.hashpw(b"", bcrypt.gensalt(cost)).decode()

    @property
    def waiting(self) -> int:
        """Passwords that wait for a thread."""
        return self._turns.waiting

    async def hash(self, password: str, address: str) -> str:
        """The text to store for a password that came from `address`."""
        return await self._run(
            address, lambda: bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._cost)).decode()
        )

    async def matches(self, password: str, stored: str | None, address: str) -> bool:
        """Whether this is the password; None stands for no account, `NO_PASSWORD` for none.

        It takes as long for each account, and for none, as a hash of the cost in force, so that
        nobody learns from the time who has one; but longer for one stored at a higher cost.
        """
        is_set = stored is not None and stored != NO_PASSWORD
        against = stored if stored is not None and is_set else self._nobody
        equal = await self._run(address, lambda: self._compare(_digest(password), against))
        return equal and is_set

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash has another cost than the one in force."""
        return _cost_of(stored) != self._cost

    def close(self) -> None:
        """Stop the threads; what waits is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _compare(self, digest: bytes, against: str) -> bool:
        equal = bcrypt.checkpw(digest, against.encode())
        # A cost doubles the work of the one below it: 2^n and 2^n + … + 2^m make 2^(m + 1).
        for cost in range(_cost_of(against), self._cost):
            bcrypt.hashpw(digest, bcrypt.gensalt(cost))
        return equal

    async def _run(self, address: str, work: Callable[[], T]) -> T:
        try:
            await self._turns.begin(address_key(address))
        except NoRoom:
            self.refused += 1
            raise refuse("OVERLOADED", retry_after_s=HASHING_RETRY_AFTER_S) from None
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # The thread works on when nobody waits any more: its turn ends with the work.
        running.add_done_callback(self._worked)
        return await asyncio.shield(running)

    def _worked(self, running: asyncio.Future[T]) -> None:
        self._turns.end()
        if not running.cancelled():
            # Whoever waited has seen it; if nobody does any more, nobody needs to.
            running.exception()


def _give_way() -> None:
    """Let this thread have what the others leave; on Linux, where a thread has a niceness."""
    if sys.platform == "linux":
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
