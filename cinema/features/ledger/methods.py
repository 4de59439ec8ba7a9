"""The ways to pay, behind one protocol.

A method that asks a provider is added in three places: its class, which has the members of
`PaymentMethod`; `MethodRegistry.add` where its feature is built (`build.py`); and its account in
`rules.ACCOUNT_OF`. docs/payments.md has an example.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol
from uuid import UUID

import msgspec

from cinema.domain.rejections import refuse

DEMO: Final = "demo"
COUNTER: Final = "counter"
COUNTER_LATER: Final = "counter_later"
FREE: Final = "free"

AT_COUNTER: Final = frozenset({COUNTER, COUNTER_LATER})
"""Methods whose money is in a till: what goes back is paid out there."""

ASK_NOBODY: Final = frozenset({DEMO, FREE})
"""Methods whose money goes back with the event, because no provider has it."""

AttemptStatus = Literal[
    "created", "pending", "succeeded", "failed", "cancelled", "refunded", "partially_refunded"
]
UNDER_WAY: Final = frozenset({"created", "pending"})
"""An attempt from which money may still come."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to pay a booking, or an order of a gift card, which is its own attempt.

    `reference` is how its provider calls it, once it has been asked. `refunded_minor` is what goes
    back of it, or went back. The money of one that is `reserved` is put aside here, and goes back
    if the booking ends. `completes` are such attempts, of which this one pays the rest. A provider
    that was asked for a whole series in one knows it by the name of that, and by `asked_minor`.
    """

    id: UUID
    booking_id: UUID
    method: str
    status: AttemptStatus
    amount_minor: int
    refunded_minor: int
    currency: str
    reference: str | None
    created_at: datetime
    reserved: bool = False
    completes: Sequence[UUID] = ()
    buys: Literal["booking", "gift_card", "series"] = "booking"
    series_id: UUID | None = None
    asked_minor: int | None = None

    @property
    def pays_in_time(self) -> bool:
        """Whether what is put aside is a part of it: that goes back when the booking ends."""
        return self.reserved or bool(self.completes)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What a method says of an attempt. `client_secret` is for the customer alone, never logged.

    `reserved`: its money is put aside here. If that is less than was wanted it is `pending`, and
    the attempt has the amount.
    """

    status: Literal["pending", "succeeded", "failed", "cancelled"]
    reserved: bool = False
    reference: str | None = None
    client_secret: str | None = None
    error_code: str | None = None


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Money that goes back to where an attempt took it from.

    `id` is the key of idempotency, together with `again`: how often staff have asked again for one
    that had failed.
    """

    id: UUID
    booking_id: UUID
    amount_minor: int
    currency: str
    reference: str | None = None
    again: int = 0


class RefundProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What a method says of a refund; one that is `pending` is asked for again later."""

    status: Literal["pending", "succeeded", "failed"]
    reference: str | None = None
    error_code: str | None = None


class PaymentMethod(Protocol):
    """A way to pay. Every call may be repeated, also by another node: ids are keys of idempotency.

    A call refuses RETRY if the provider does not answer. Then nothing is known: the caller neither
    confirms nor frees seats. `waits`: the customer pays after the booking was made, which is
    pending until then. `settles`: attempts by these methods are paid by this one too.
    """

    name: str
    waits: bool
    settles: frozenset[str]

    async def start(self, attempt: Attempt) -> Progress:
        """Ask for the money of an attempt, or resume it."""

    async def status(self, attempt: Attempt) -> Progress:
        """How it stands with an attempt."""

    async def cancel(self, attempt: Attempt) -> Progress:
        """Make certain that no money comes; `succeeded` or `pending` says that this failed."""

    async def refund(self, attempt: Attempt, order: RefundOrder) -> RefundProgress:
        """Give money of an attempt back."""


class AtOnce:
    """Methods that ask nobody: whoever says that it is paid has the money."""

    def __init__(
        self, name: str, *, waits: bool = False, settles: frozenset[str] = frozenset()
    ) -> None:
        self.name = name
        self.waits = waits
        self.settles = settles

    async def start(self, attempt: Attempt) -> Progress:
        """Paid, unless it is paid later."""
        assert attempt.method == self.name
        return Progress(status="pending" if self.waits else "succeeded")

    async def status(self, attempt: Attempt) -> Progress:
        """As `start`."""
        return await self.start(attempt)

    async def cancel(self, _attempt: Attempt) -> Progress:
        """Nobody has the money before the booking is confirmed."""
        return Progress(status="cancelled")

    async def refund(self, _attempt: Attempt, _order: RefundOrder) -> RefundProgress:
        """Given back by whoever has the money."""
        return RefundProgress(status="succeeded")


class ByDecision:
    """The method of bookings that wait until a row of another kind is decided.

    Nobody chooses it: whatever has that row does, and ends the bookings by what it says. `abort`
    aborts the row of a booking unless it is decided, and answers its state; None without a row.
    """

    waits = True
    settles: frozenset[str] = frozenset()

    def __init__(
        self,
        name: str,
        abort: Callable[[UUID, datetime], Awaitable[str | None]],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self._abort = abort
        self._now = now

    async def start(self, _attempt: Attempt) -> Progress:
        """See `PaymentMethod.start`: whatever has the row does all that is to be done."""
        return Progress(status="pending")

    async def status(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.status`."""
        return await self.start(attempt)

    async def cancel(self, attempt: Attempt) -> Progress:
        """See `PaymentMethod.cancel`; what is committed is booked by whoever looks at such rows."""
        state = await self._abort(attempt.booking_id, self._now())
        return Progress(status="cancelled" if state in {None, "aborted"} else "pending")

    async def refund(self, _attempt: Attempt, _order: RefundOrder) -> RefundProgress:
        """See `PaymentMethod.refund`: money is asked of the methods that have it."""
        return RefundProgress(status="failed", error_code=self.name)


class MethodRegistry:
    """The methods of this server; features add theirs when they are built."""

    def __init__(self, *, demo: bool) -> None:
        self._methods: dict[str, PaymentMethod] = {}
        self.add(AtOnce(COUNTER, settles=frozenset({COUNTER_LATER})))
        self.add(AtOnce(COUNTER_LATER, waits=True))
        self.add(AtOnce(FREE))
        if demo:
            self.add(AtOnce(DEMO))

    def add(self, method: PaymentMethod) -> None:
        """One more way to pay."""
        assert method.name not in self._methods, method.name
        self._methods[method.name] = method

    def find(self, name: str) -> PaymentMethod | None:
        """The method of a name, if there is one."""
        return self._methods.get(name)

    def get(self, name: str) -> PaymentMethod:
        """The method of a name. Refuses UNKNOWN_PAYMENT_METHOD."""
        method = self._methods.get(name)
        if method is None:
            raise refuse("UNKNOWN_PAYMENT_METHOD", method=name)
        return method

    def names(self) -> list[str]:
        """Of all methods."""
        return list(self._methods)
