"""Faults on command: how the next calls of a kind go wrong."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

FaultKind = Literal["lost", "error", "limited", "slow", "stopped"]


class Fault(msgspec.Struct, kw_only=True):
    """What happens to the next `count` calls whose method and path begin like this.

    `lost` has its effect, and the answer never comes. `error` (500) and `limited` (429) have none.
    A `slow` call takes effect once `gate` is set; `stopped` has its effect and answers after that.
    """

    kind: FaultKind
    method: str = "POST"
    path: str = "/v1/"
    count: int = 1
    gate: asyncio.Event = msgspec.field(default_factory=asyncio.Event)


class Faults:
    """The faults that are still to come, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._coming: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Let something go wrong."""
        self._coming.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again; what waits goes on."""
        for fault in self._coming:
            fault.gate.set()
        self._coming.clear()

    def next(self, method: str, path: str) -> Fault | None:
        """The fault of this call, if one is due."""
        for fault in self._coming:
            if fault.method == method and path.startswith(fault.path):
                fault.count -= 1
                if not fault.count:
                    self._coming.remove(fault)
                return fault
        return None
