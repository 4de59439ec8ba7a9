"""The kernel's settings and counters."""

from __future__ import annotations

from collections import Counter

import msgspec


class KernelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one node; `cinema/settings` documents each."""

    commit_lanes: int = 1
    lease_ms: int = 500
    snapshot_every_events: int = 1000
    mailbox_limit: int = 4096
    node_waiting_limit: int = 16_384
    overloaded_after_ms: int = 500
    command_deadline_ms: int = 5000
    max_resident_showtimes: int = 20_000
    max_watched_showtimes: int = 20_000
    idle_passivation_s: float = 300.0
    batch_limit_events: int = 500


class KernelMetrics:
    """Plain counters, exported when scraped."""

    __slots__ = (
        "activations",
        "batch_events",
        "batches",
        "commit_ns",
        "commits_aborted",
        "commits_unknown",
        "decisions",
        "fenced",
        "lease_checks",
        "passivations",
        "quarantined",
        "snapshots",
        "task_failures",
    )

    def __init__(self) -> None:
        self.decisions: Counter[tuple[str, str]] = Counter()
        self.activations = 0
        self.passivations = 0
        self.quarantined = 0
        self.fenced = 0
        self.snapshots = 0
        self.lease_checks = 0
        self.batches = 0
        self.batch_events = 0
        self.commits_aborted = 0
        self.commits_unknown = 0
        self.commit_ns: list[int] = [0] * 64
        self.task_failures: Counter[str] = Counter()
