"""Answers that are as new as the database, wherever they are kept.

Rows that change together have a number in Postgres, which each transaction that changes them moves
on. A value is kept with the numbers as they were before its rows were read, and is good only while
they are the same. They are asked for after a read has begun, so it sees all that was committed
before. A slow reader keeps an old value with old numbers, where it does no harm, and a store that
is wiped, cut off or restored from last week costs time only.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec

from cinema.storage.cache.values import Values
from cinema.storage.database.shared_question import Shared

T = TypeVar("T")

Versions = Callable[[], Awaitable[Mapping[str, int]]]
"""The numbers of all groups by name, asked for after the call began."""

HIT: Final = "hit"
MISS: Final = "miss"
CHANGED: Final = "changed"
JOINED: Final = "joined"
OUTCOMES: Final = (HIT, MISS, CHANGED, JOINED)
"""How a read ended: the value was there, was not, was from before a change, or another request of
this node was just reading it."""


class _KeptValue(msgspec.Struct, frozen=True, array_like=True):
    """A value as it is kept; its key stands in it, since nothing else says that it is the one."""

    key: str
    form: bytes
    versions: tuple[int, ...]
    until_unix_s: float
    value: bytes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_KeptValue).decode


class Cached(Generic[T]):
    """A kind of answer: its name, how long it is kept, and the groups of rows it rests on."""

    def __init__(self, name: str, kind: Any, *, ttl_s: int, rests_on: Sequence[str]) -> None:
        self.name = name
        self.ttl_s = ttl_s
        self.rests_on = tuple(rests_on)
        # Another version of this program may have another form for the same answer.
        form = msgspec.json.encode(msgspec.json.schema(kind), order="deterministic")
        self.form = blake2b(form, digest_size=8).digest()
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)

    def decode(self, value: bytes) -> T:
        """The answer in a value. Raises `msgspec.DecodeError`."""
        return self._decoder.decode(value)


class Cache(Protocol):
    """Reads that may be kept for a time, and then still show everything that was committed."""

    async def read(
        self, kind: Cached[T], what: str, load: Callable[[], Awaitable[T | None]], /
    ) -> T | None:
        """The answer about `what`, by `load` if need be; None and refusals are not kept."""


class NoCache:
    """See `Cache`: asks the database each time."""

    async def read(
        self, _kind: Cached[T], _what: str, load: Callable[[], Awaitable[T | None]], /
    ) -> T | None:
        """See `Cache.read`."""
        return await load()


class VersionedCache:
    """Answers from what is kept, if it is good, else from the database.

    `near` is this node's memory, `far` what nodes share. `outcomes` counts by name of the kind.
    """

    def __init__(
        self,
        versions: Versions,
        near: Values,
        far: Values | None = None,
        *,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._versions = versions
        self._stores = [near] if far is None else [near, far]
        self._unix_s = unix_s
        self._filling: dict[tuple[str, tuple[int, ...]], Shared[Any]] = {}
        self.outcomes: dict[tuple[str, str], int] = {}

    async def read(
        self, kind: Cached[T], what: str, load: Callable[[], Awaitable[T | None]], /
    ) -> T | None:
        """See `Cache.read`. Of one node only one request at a time loads an answer."""
        known = await self._versions()
        versions = tuple(known[name] for name in kind.rests_on)
        key = f"{kind.name}:{what}"
        # Whoever is loading now began with these numbers, so after all that we have to see.
        while (filling := self._filling.get((key, versions))) is not None:
            for answer in await filling.outcome():
                self._count(kind, JOINED)
                joined: T | None = answer
                return joined
        shared: Shared[T | None] = Shared()
        self._filling[key, versions] = shared
        try:
            return await shared.work(self._fill(kind, key, versions, load))
        finally:
            del self._filling[key, versions]

    async def _fill(
        self,
        kind: Cached[Any],
        key: str,
        versions: tuple[int, ...],
        load: Callable[[], Awaitable[T | None]],
    ) -> T | None:
        outcome = MISS
        for place, store in enumerate(self._stores):
            kept = _read(await store.get(key))
            if kept is None or (kept.key, kept.form) != (key, kind.form):
                continue
            if kept.versions != versions:
                outcome = CHANGED
                continue
            # The clock of the node that kept it may be another one.
            left_s = min(kept.until_unix_s - self._unix_s(), kind.ttl_s)
            if left_s <= 0:
                continue
            try:
                answer: T = kind.decode(kept.value)
            except msgspec.DecodeError:
                # What the database has need not be what may be entered today.
                continue
            for nearer in self._stores[:place]:
                await nearer.put(key, _encode(kept), left_s)
            self._count(kind, HIT)
            return answer
        self._count(kind, outcome)
        loaded = await load()
        if loaded is not None:
            until_unix_s = self._unix_s() + kind.ttl_s
            value = _encode(_KeptValue(key, kind.form, versions, until_unix_s, _encode(loaded)))
            for store in self._stores:
                await store.put(key, value, kind.ttl_s)
        return loaded

    def _count(self, kind: Cached[Any], outcome: str) -> None:
        name = kind.name, outcome
        self.outcomes[name] = self.outcomes.get(name, 0) + 1


def _read(raw: bytes | None) -> _KeptValue | None:
    """What is in a value of a store; None if it is not ours, or damaged."""
    if raw is None:
        return None
    try:
        return _decode(raw)
    except msgspec.DecodeError:
        return None


def question(*parts: object) -> str:
    """A short name for what is asked; the same for all ways to ask the same."""
    asked = msgspec.msgpack.encode(parts, order="deterministic")
    return blake2b(asked, digest_size=16).hexdigest()
