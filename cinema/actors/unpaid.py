"""How many seats each customer holds and has not paid, over all showtimes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from cinema.domain.rejections import Rejection
from cinema.domain.showtime.commands import HoldBestAvailable, HoldSeats, JoinWaitlist
from cinema.domain.showtime.events import SeatsHeld
from cinema.domain.showtime.packed import expiry_of, seats_in
from cinema.domain.showtime.state import ShowtimeState, count_unpaid
from cinema.domain.showtime.waiting import unpacked_entry

FORGET_AFTER_US: Final = 60_000_000
"""How long after their end holds outside of memory still count, if nothing has ended them."""

HOLDS: Final = (HoldSeats, HoldBestAvailable)
"""The commands by which seats come to be held."""

SIFTED_AT_ONCE: Final = 100
"""Showtimes outside of memory looked at in one step of the kernel's clock, ten times a second."""


class UnpaidSeats:
    """Counts the seats of live holds by customer: exactly for this node, as reported for others.

    The states themselves keep `here`, hold by hold. A showtime that leaves memory still belongs
    to this node: its holds count until it is back in memory, or belongs to another node.

    Who waits for seats may be offered them whenever others let them go. So what somebody waits for
    at this node counts for the next place in a wait list, though for no hold.
    """

    __slots__ = ("_asleep", "_lists", "here", "on_other_nodes")

    def __init__(self) -> None:
        self.here: dict[bytes, int] = {}
        self.on_other_nodes: Mapping[bytes, int] = {}
        self._asleep: dict[bytes, tuple[bytes, ...]] = {}
        self._lists: dict[bytes, tuple[Mapping[bytes, bytes], int]] = {}

    def listed(self, showtime_id: bytes, waitlist: Mapping[bytes, bytes], ends_us: int) -> None:
        """Who waits at a showtime from now on, and until when."""
        self._lists.pop(showtime_id, None)
        if waitlist:
            self._lists[showtime_id] = waitlist, ends_us

    def refusal(
        self, command: HoldSeats | HoldBestAvailable, event: SeatsHeld, cinema_id: bytes
    ) -> Rejection | None:
        """Why a hold is more than its customer may have unpaid; None if it is not."""
        customer, limit = event.customer, command.unpaid_limit
        if cinema_id in command.staff_cinemas:
            limit = command.staff_unpaid_limit
        # As in `_refusal`, without its call.
        held = self.here.get(customer, 0) + self.on_other_nodes.get(customer, 0)
        if held + len(event.seats) <= limit:
            return None
        return self._refusal(customer, len(event.seats), limit)

    def refusal_of_wish(self, command: JoinWaitlist, now_us: int) -> Rejection | None:
        """Why a customer may not wait for so many seats; None if they could hold them all now."""
        customer, limit = command.customer, command.unpaid_limit
        waiting = self._waited_for(customer, now_us) if limit else 0
        return self._refusal(customer, command.quantity, limit, waiting)

    def _waited_for(self, customer: bytes, now_us: int) -> int:
        return sum(
            unpacked_entry(waitlist[customer]).wish.quantity
            for waitlist, ends_us in self._lists.values()
            if ends_us > now_us and customer in waitlist
        )

    def _refusal(
        self, customer: bytes, count: int, limit: int, waiting: int = 0
    ) -> Rejection | None:
        held = self.here.get(customer, 0) + self.on_other_nodes.get(customer, 0)
        if held + waiting + count <= limit or not limit:
            return None
        details = {"limit": "unpaid_seats", "value": limit, "unpaid": held}
        if waiting:
            details["waiting"] = waiting
        return Rejection(
            code="HOLD_LIMIT",
            message="A customer cannot hold so many unpaid seats over all showtimes.",
            details=details,
        )

    def of(self, customer: bytes) -> int:
        """How many seats somebody holds, as far as this node knows."""
        return self.here.get(customer, 0) + self.on_other_nodes.get(customer, 0)

    def woken(self, showtime_id: bytes, state: ShowtimeState) -> None:
        """A showtime is in memory: what was known of it from before no longer counts."""
        self.gone(showtime_id)
        state.unpaid = self.here
        for packed in state.holds.values():
            count_unpaid(self.here, packed, seats_in(packed))

    def left(self, showtime_id: bytes, state: ShowtimeState, *, is_ours: bool) -> None:
        """A state is discarded; while the showtime belongs to this node, its holds still count."""
        if not is_ours:
            self._lists.pop(showtime_id, None)
        if state.unpaid is None:
            return
        state.unpaid = None
        if is_ours and state.holds:
            self._asleep[showtime_id] = tuple(state.holds.values())
            return
        for packed in state.holds.values():
            count_unpaid(self.here, packed, -seats_in(packed))

    def gone(self, showtime_id: bytes) -> None:
        """A showtime outside of memory no longer counts."""
        for packed in self._asleep.pop(showtime_id, ()):
            count_unpaid(self.here, packed, -seats_in(packed))

    def sift(self, owns: Callable[[bytes], bool], now_us: int) -> None:
        """Look through some showtimes outside of memory.

        Those of other nodes no longer count, nor do holds that should have ended long ago:
        another node has ended them. The same with wait lists.
        """
        for showtime_id in list(islice(self._lists, SIFTED_AT_ONCE)):
            listed = self._lists.pop(showtime_id)
            if owns(showtime_id) and listed[1] > now_us:
                self._lists[showtime_id] = listed
        for showtime_id in list(islice(self._asleep, SIFTED_AT_ONCE)):
            holds = self._asleep[showtime_id]
            ended = max(map(expiry_of, holds)) + FORGET_AFTER_US < now_us
            if ended or not owns(showtime_id):
                self.gone(showtime_id)
            else:
                # Behind all others, until its turn comes again.
                del self._asleep[showtime_id]
                self._asleep[showtime_id] = holds
