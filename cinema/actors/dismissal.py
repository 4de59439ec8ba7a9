"""Putting one showtime out of memory because an operator asks for it."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Final

from cinema.actors.actor import Phase
from cinema.actors.kernel import Kernel

LOOK_S: Final = 0.01
"""Pause before it is checked again whether the showtime is idle; a commit takes about as long."""


class Dismissal(Enum):
    """What became of the request."""

    DONE = "done"
    NOT_RESIDENT = "not_resident"
    WATCHED = "watched"
    BUSY = "busy"


async def dismiss(kernel: Kernel, showtime_id: bytes, *, patience_s: float) -> Dismissal:
    """Passivate a showtime as soon as it is idle, and wait until it is gone.

    One that somebody watches stays. One in quarantine is forgotten: the next message loads it
    anew, so that a repaired journal needs no restart. Waits at most `patience_s`.
    """
    actor = kernel._actors.get(showtime_id)
    if actor is None:
        return Dismissal.NOT_RESIDENT
    if actor.phase is Phase.QUARANTINED:
        kernel._forget(actor)
        return Dismissal.DONE
    end_ns = kernel.clock.boot_ns() + int(patience_s * 1e9)
    while kernel._actors.get(showtime_id) is actor:
        if actor.publisher.feeds:
            return Dismissal.WATCHED
        if kernel.clock.boot_ns() >= end_ns:
            return Dismissal.BUSY
        if actor.idle:
            actor.passivate()
        await asyncio.sleep(LOOK_S)
    return Dismissal.DONE
