"""Finds silent nodes: each node judges by its own clock whether the others' counts still rise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cinema.domain.membership import Member
from cinema.storage.membership.views import Beat


class FailureDetector:
    """Suspects a node whose beats have not changed for `timeout_s` of this node's time.

    No clocks are compared. Time in which this node could not look (Redis away, the process frozen)
    counts as no node's silence: after a gap longer than `blind_after_s` all times start again.
    Times are seconds of one monotonic clock.
    """

    def __init__(self, *, timeout_s: float, blind_after_s: float) -> None:
        self._timeout_s = timeout_s
        self._blind_after_s = blind_after_s
        self._seen: dict[bytes, tuple[int, float]] = {}
        self._since_s = float("-inf")
        self._looked_s = float("-inf")

    def observe(self, beats: Mapping[bytes, Beat], now_s: float) -> None:
        """One look at the beats of all nodes."""
        if now_s - self._looked_s > self._blind_after_s:
            self._since_s = now_s
        self._looked_s = now_s
        for node_id, beat in beats.items():
            before = self._seen.get(node_id)
            if before is None or before[0] != beat.count:
                self._seen[node_id] = (beat.count, now_s)

    def heard(self, node_id: bytes, now_s: float) -> None:
        """The node showed in another way that it is alive."""
        count = self._seen[node_id][0] if node_id in self._seen else -1
        self._seen[node_id] = (count, now_s)

    def silent(self, members: Iterable[Member], now_s: float) -> list[Member]:
        """Those of `members` that were silent for too long; none while this node cannot look."""
        if now_s - self._looked_s > self._blind_after_s:
            return []
        suspects = []
        for member in members:
            if member.node_id not in self._seen:
                # Its time begins now: it may have joined a moment ago.
                self._seen[member.node_id] = (-1, now_s)
            changed_s = max(self._seen[member.node_id][1], self._since_s)
            if now_s >= changed_s + self._timeout_s:
                suspects.append(member)
        return suspects

    def next_silence_s(self, members: Iterable[Member], now_s: float) -> float:
        """When the next of `members` will have been silent for too long, if it sends nothing more.

        Infinity if there is no such member: none was seen yet, or all are silent for too
        long already.
        """
        due = (
            max(self._seen[member.node_id][1], self._since_s) + self._timeout_s
            for member in members
            if member.node_id in self._seen
        )
        return min((due_s for due_s in due if due_s > now_s), default=float("inf"))

    def forget_all_but(self, node_ids: frozenset[bytes], now_s: float) -> frozenset[bytes]:
        """Forget nodes that are not members and no longer beat; returns them."""
        gone = [
            node_id
            for node_id, (_, changed_s) in self._seen.items()
            if node_id not in node_ids and now_s - changed_s > 10 * self._timeout_s
        ]
        for node_id in gone:
            del self._seen[node_id]
        return frozenset(gone)
