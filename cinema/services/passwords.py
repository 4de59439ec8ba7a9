"""Password hashing with bcrypt, away from the event loop and bounded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import bcrypt

from cinema.domain.limits_catalog import HASHING_QUEUE, HASHING_RETRY_AFTER_S, HASHING_THREADS
from cinema.domain.rejections import refuse

COST_MIN: Final = 10

T = TypeVar("T")


class PasswordHasher:
    """Hashes and compares passwords in a few threads; a full queue is OVERLOADED.

    A password goes through NFKC (keyboards differ in how they write one character), SHA-256 and
    base64 before bcrypt, which would otherwise ignore all beyond 72 bytes and stop at a zero.
    """

    def __init__(
        self, cost: int, *, threads: int = HASHING_THREADS, queue_limit: int = HASHING_QUEUE
    ) -> None:
        if cost < COST_MIN:
            raise ValueError(f"a bcrypt cost below {COST_MIN} is too weak")
        self._cost = cost
        self._queue_limit = queue_limit
        self._waiting = 0
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        # Compared with when there is no account, so that this takes as long as a wrong password.
        self._nobody = bcrypt.hashpw(b"", bcrypt.gensalt(cost)).decode()

    async def hash(self, password: str) -> str:
        """The text to store for a password."""
        return await self._run(
            lambda: bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._cost)).decode()
        )

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether this is the password; None stands for no account, and takes as long."""
        against = (self._nobody if stored is None else stored).encode()
        equal = await self._run(lambda: bcrypt.checkpw(_digest(password), against))
        return equal and stored is not None

    def close(self) -> None:
        """Stop the threads; what waits is cancelled."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._queue_limit:
            raise refuse("OVERLOADED", retry_after_s=HASHING_RETRY_AFTER_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1


def _digest(password: str) -> bytes:
    normal = unicodedata.normalize("NFKC", password)
    return base64.b64encode(hashlib.sha256(normal.encode("utf-8", "surrogatepass")).digest())
