"""Unpaid seats that customers hold at other nodes: each node reports its counts twice a second.

A bound on unpaid seats is exact for the showtimes of one node, and late by at most a second for
those of the others. If a count does not come, nothing is lost; the bound is only less strict then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from cinema.actors.tasks import Tasks
from cinema.actors.unpaid import UnpaidSeats
from cinema.cluster.peers import PeerLost, PeerRefused, Peers
from cinema.cluster.placement import Placement
from cinema.domain.membership import Member

TOPIC: Final = "unpaid"

EVERY_S: Final = 0.5
"""Pause between two questions, and how long an answer may take: together the second of the spec."""

CHANGES_MAX: Final = 20_000
"""Customers in one answer, 400 KB; what is left over comes with the next."""

SLICE: Final = 2000
"""Customers looked at in one step of the event loop, about a millisecond."""

_CUSTOMER_BYTES: Final = 16
_COUNT_BYTES: Final = 4
_VERSION_BYTES: Final = 8
_ENTRY_BYTES: Final = _CUSTOMER_BYTES + _COUNT_BYTES

Counts = dict[bytes, int]


class _CountsTold:
    """What another node knows of this one's counts, by the number of the answer that told it."""

    __slots__ = ("counts", "version")

    def __init__(self) -> None:
        self.version = 0
        self.counts: Counts = {}


class UnpaidCounts:
    """Keeps `UnpaidSeats.on_other_nodes`, and answers the other nodes' questions for `here`.

    A question names the last answer its node has, so that an answer holds only what changed since.
    The counts of a node that is no longer a member are dropped. For a node that does not answer,
    its last counts stay.
    """

    def __init__(
        self,
        unpaid: UnpaidSeats,
        placement: Placement,
        peers: Peers,
        task_failures: Counter[str] | None = None,
    ) -> None:
        self._unpaid = unpaid
        self._placement = placement
        self._peers = peers
        self._tasks = Tasks(task_failures)
        self._total: Counts = {}
        self._of_node: dict[bytes, Counts] = {}
        self._heard: dict[bytes, int] = {}
        self._told: dict[bytes, _CountsTold] = {}
        self._versions = 0
        unpaid.on_other_nodes = self._total
        peers.answer(TOPIC, self.answer)

    def start(self) -> None:
        """Start asking."""
        self._tasks.keep("unpaid-counts", self._run)

    async def stop(self) -> None:
        """Stop asking."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            await self.look()

    async def look(self) -> None:
        """Ask every other member once, and forget nodes that are not members."""
        others = self._placement.others
        members = {member.node_id for member in others}
        for node_id in [one for one in self._of_node if one not in members]:
            await self._forget(node_id)
        for node_id in [one for one in self._told if one not in members]:
            del self._told[node_id]
        await asyncio.gather(*(self._ask(member) for member in others))

    # --- asking

    async def _ask(self, member: Member) -> None:
        version = self._heard.get(member.node_id, 0)
        question = version.to_bytes(_VERSION_BYTES, "big")
        try:
            answer = await self._peers.peer(member).ask(TOPIC, question, EVERY_S)
        except (PeerLost, PeerRefused):
            return
        is_whole, now_at, entries = answer[0], answer[1 : 1 + _VERSION_BYTES], answer[9:]
        if is_whole:
            await self._forget(member.node_id)
        known = self._of_node.setdefault(member.node_id, {})
        for part in _sliced(entries):
            for customer, count in part:
                self._set(known, customer, count)
            await asyncio.sleep(0)
        self._heard[member.node_id] = int.from_bytes(now_at, "big")

    async def _forget(self, node_id: bytes) -> None:
        self._heard.pop(node_id, None)
        known = self._of_node.pop(node_id, {})
        customers = iter(list(known))
        while some := list(islice(customers, SLICE)):
            for customer in some:
                self._set(known, customer, 0)
            await asyncio.sleep(0)

    def _set(self, known: Counts, customer: bytes, count: int) -> None:
        """One node's count of one customer, and with it the total."""
        total = self._total.get(customer, 0) + count - known.get(customer, 0)
        for counts, value in ((known, count), (self._total, total)):
            if value > 0:
                counts[customer] = value
            else:
                counts.pop(customer, None)

    # --- answering

    async def answer(self, peer_id: bytes, question: bytes) -> bytes:
        """What changed here since the answer that the question names: all if that was not the last.

        One byte whether it is all, the number of this answer, then each customer with a count.
        """
        told = self._told.get(peer_id)
        is_whole = told is None or told.version != int.from_bytes(question, "big")
        before = {} if is_whole or told is None else told.counts
        changes = await self._changes(before)
        next_told = _CountsTold()
        self._versions += 1
        next_told.version = self._versions
        next_told.counts = {one: n for one, n in {**before, **changes}.items() if n}
        self._told[peer_id] = next_told
        version = self._versions.to_bytes(_VERSION_BYTES, "big")
        entries = [one + n.to_bytes(_COUNT_BYTES, "big") for one, n in changes.items()]
        return b"".join((bytes((is_whole,)), version, *entries))

    async def _changes(self, before: Counts) -> Counts:
        """Customers whose count has changed, at most `CHANGES_MAX` of them."""
        now = dict(self._unpaid.here)
        changes: Counts = {}
        for seen, customer in enumerate([*now, *(one for one in before if one not in now)], 1):
            count = now.get(customer, 0)
            if before.get(customer, 0) != count:
                changes[customer] = count
                if len(changes) == CHANGES_MAX:
                    break
            if seen % SLICE == 0:
                await asyncio.sleep(0)
        return changes


def _sliced(entries: bytes) -> Iterator[list[tuple[bytes, int]]]:
    """Customers with their counts, a step's share at a time."""
    for start in range(0, len(entries), SLICE * _ENTRY_BYTES):
        end = min(len(entries), start + SLICE * _ENTRY_BYTES)
        yield [
            (
                entries[at : at + _CUSTOMER_BYTES],
                int.from_bytes(entries[at + _CUSTOMER_BYTES : at + _ENTRY_BYTES], "big"),
            )
            for at in range(start, end, _ENTRY_BYTES)
        ]
