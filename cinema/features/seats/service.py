"""Seats of a showtime for one caller: read, hold, extend, release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from cinema.actors.asking import NOT_FOUND, refusal_of
from cinema.actors.dispatch import Dispatch
from cinema.actors.messages import Accepted, HoldSeen, Outcome, ReadHold, ReadSeats, SeatsSeen
from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.ids import format_id
from cinema.domain.money import Money
from cinema.domain.principal import ADMIN, Principal
from cinema.domain.rejections import Rejection, refuse
from cinema.domain.sale_rules import APP, WEB
from cinema.domain.showtime.commands import (
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    ReleaseHold,
)
from cinema.domain.showtime.events import (
    AnyEvent,
    HoldExtended,
    HoldReleased,
    Prices,
    Seats,
    SeatsHeld,
)
from cinema.domain.showtime.state import HoldStatus
from cinema.domain.showtime.terms import ShowtimeTerms
from cinema.domain.times import from_us
from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.refusals import granted
from cinema.features.seats.shapes import HeldSeat, Hold, HoldInput

SEATS_SHOWN_KEPT: Final = 16_384
"""How many shown seats are kept. Showtimes share them; making one takes longer than a look-up."""

_NOWHERE: Final[frozenset[bytes]] = frozenset()

HoldOutcome = Outcome
"""The outcome of a message about a hold; `hold_of` turns it into a hold."""

HoldAnswer = Callable[[HoldOutcome], None]
"""Receives the outcome once, maybe before the call that asked for it returns."""


class UnpaidLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many unpaid seats a caller may hold over all showtimes; the settings say more."""

    unpaid_seats_per_customer: int = 20
    unpaid_seats_per_unverified: int = 10
    unpaid_seats_per_staff: int = 200


class HoldGate(Protocol):
    """Says who may hold seats of a showtime; without a gate everybody may."""

    def lets_in(self, principal: Principal, /) -> bool:
        """Whether this caller may, as far as it is known."""

    def look_again(
        self, principal: Principal, go_on: Callable[[], None], answer: HoldAnswer, /
    ) -> None:
        """Find out, then either `go_on` or `answer` with a refusal."""


class PresaleCodes(Protocol):
    """Uses a code for a hold, and sends it (`PresaleService.hold`)."""

    def __call__(
        self,
        showtime_id: bytes,
        command: HoldSeats | HoldBestAvailable,
        code: str,
        answer: HoldAnswer,
        /,
    ) -> None: ...


class SeatsService:
    """Use cases of one showtime's seats.

    Those of holds do not await, so that they can be served without a task. They send a message,
    and `hold_of` turns its outcome into a hold or a `Rejection`. Other services raise refusals.
    Here they stay values, because in a rush most holds are refused, and raising would make such a
    request about a twentieth slower. Their ids stay raw bytes for the same reason.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        *,
        unpaid: UnpaidLimits,
        next_id: Callable[[], bytes],
    ) -> None:
        self._dispatch = dispatch
        self._unpaid = unpaid
        self._next_id = next_id
        self._gates: Mapping[bytes, HoldGate] = {}
        self._presale: PresaleCodes | None = None

    def guard_by(self, gates: Mapping[bytes, HoldGate]) -> None:
        """Ask these before holds, by raw ids of showtimes; the mapping changes as gates do."""
        self._gates = gates

    def presell_by(self, presale: PresaleCodes) -> None:
        """Give it the holds that come with a presale code."""
        self._presale = presale

    # --- seats

    async def seats(self, showtime_id: bytes, caller: Principal | None) -> SeatsSeen:
        """The seat map as it is now; a showtime that is not in memory is read from the store."""
        query = ReadSeats()
        if caller is not None:
            query = ReadSeats(customer=caller.user_id, guests=caller.guest_ids)
        outcome = await self._dispatch.read_seats(showtime_id, query)
        return granted(outcome if isinstance(outcome, SeatsSeen) else refusal_of(outcome))

    async def seats_and_holders(self, showtime_id: bytes) -> SeatsSeen:
        """The seat map, and who holds seats. Refuses NOT_FOUND, RETRY."""
        outcome = await self._dispatch.read_seats(showtime_id, ReadSeats(with_holders=True))
        return granted(outcome if isinstance(outcome, SeatsSeen) else refusal_of(outcome))

    async def held(self, showtime_id: bytes, caller: Principal, hold_id: bytes) -> HoldSeen:
        """A hold of the caller, or of a guest that the caller has claimed, with its price inputs.

        Refuses NOT_FOUND.
        """
        outcome: Outcome = NOT_FOUND
        for customer in (caller.user_id, *caller.guest_ids):
            question = ReadHold(hold_id=hold_id, customer=customer, with_price_inputs=True)
            outcome = await self._dispatch.ask(showtime_id, question)
            if outcome != NOT_FOUND:
                break
        return granted(outcome if isinstance(outcome, HoldSeen) else refusal_of(outcome))

    async def exists(self, showtime_id: bytes) -> bool:
        """Whether there is such a showtime."""
        return await self._dispatch.exists(showtime_id)

    # --- holds

    def place_hold(
        self,
        showtime_id: bytes,
        principal: Principal,
        request: HoldInput,
        key: IdempotencyKey | None,
        answer: HoldAnswer,
    ) -> None:
        """Hold seats; staff have the limits of a till at their cinemas.

        Members, whom early access is for, are accounts whose e-mail address is verified.
        """
        gate = self._gates.get(showtime_id)
        if gate is not None and not gate.lets_in(principal):

            def go_on() -> None:
                self.place_hold(showtime_id, principal, request, key, answer)

            gate.look_again(principal, go_on, answer)
            return
        customer, limits = principal.user_id, self._unpaid
        by_staff = principal.role == ADMIN
        staff_cinemas = principal.cinema_ids if principal.role in COUNTER_ROLES else _NOWHERE
        if by_staff:
            unpaid_limit = limits.unpaid_seats_per_staff
        elif principal.verified:
            unpaid_limit = limits.unpaid_seats_per_customer
        else:
            unpaid_limit = limits.unpaid_seats_per_unverified
        hold_id = self._next_id()
        if key is None:
            command_id, fingerprint = hold_id, b""
        else:
            command_id, fingerprint = key.digest, key.fingerprint
        command: HoldSeats | HoldBestAvailable
        if request.seats is not None:
            command = HoldSeats(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=hold_id,
                customer=customer,
                labels=request.seats,
                unpaid_limit=unpaid_limit,
                by_staff=by_staff,
                staff_cinemas=staff_cinemas,
                staff_unpaid_limit=limits.unpaid_seats_per_staff,
                member=principal.verified,
                channel=APP if request.channel == "app" else WEB,
            )
        else:
            wanted = request.best_available
            if wanted is None:
                raise refuse("VALIDATION_ERROR")
            command = HoldBestAvailable(
                command_id=command_id,
                fingerprint=fingerprint,
                hold_id=hold_id,
                customer=customer,
                quantity=wanted.quantity,
                category=wanted.category,
                accessible=wanted.accessible,
                unpaid_limit=unpaid_limit,
                by_staff=by_staff,
                staff_cinemas=staff_cinemas,
                staff_unpaid_limit=limits.unpaid_seats_per_staff,
                member=principal.verified,
                channel=APP if request.channel == "app" else WEB,
            )
        if request.presale_code is not None and self._presale is not None:
            self._presale(showtime_id, command, request.presale_code, answer)
            return
        self._dispatch.tell(showtime_id, command, answer)

    def read_hold(
        self, showtime_id: bytes, principal: Principal, hold_id: bytes, answer: HoldAnswer
    ) -> None:
        """One hold of the caller, live or ended."""
        query = ReadHold(hold_id=hold_id, customer=principal.user_id)
        self._tell_holder(showtime_id, query, principal, answer)

    def extend_hold(
        self,
        showtime_id: bytes,
        principal: Principal,
        hold_id: bytes,
        key: IdempotencyKey | None,
        answer: HoldAnswer,
    ) -> None:
        """Give a hold its full time again."""
        command_id, fingerprint = self._command_key(key)
        command = ExtendHold(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=hold_id,
            customer=principal.user_id,
        )
        self._tell_holder(showtime_id, command, principal, answer)

    def release_hold(
        self,
        showtime_id: bytes,
        principal: Principal,
        hold_id: bytes,
        labels: list[str] | None,
        key: IdempotencyKey | None,
        answer: HoldAnswer,
    ) -> None:
        """Release a hold, or the part of it that `labels` name."""
        command_id, fingerprint = self._command_key(key)
        command = ReleaseHold(
            command_id=command_id,
            fingerprint=fingerprint,
            hold_id=hold_id,
            customer=principal.user_id,
            labels=labels,
        )
        self._tell_holder(showtime_id, command, principal, answer)

    def _command_key(self, key: IdempotencyKey | None) -> tuple[bytes, bytes]:
        """As `command_key`, without a system call for each command."""
        return (self._next_id(), b"") if key is None else (key.digest, key.fingerprint)

    def _tell_holder(
        self,
        showtime_id: bytes,
        message: ReadHold | ExtendHold | ReleaseHold,
        principal: Principal,
        answer: HoldAnswer,
    ) -> None:
        """Send a message about a hold of the caller, or of a guest that the caller has claimed."""
        tell = self._dispatch.tell
        if not principal.guest_ids:
            tell(showtime_id, message, answer)
            return
        guests = iter(principal.guest_ids)

        def answer_or_ask(outcome: HoldOutcome) -> None:
            guest = next(guests, None) if outcome == NOT_FOUND else None
            if guest is None:
                answer(outcome)
            else:
                tell(showtime_id, msgspec.structs.replace(message, customer=guest), answer_or_ask)

        tell(showtime_id, message, answer_or_ask)


def hold_of(outcome: HoldOutcome) -> Hold | Rejection:
    """The hold in an outcome, or its `Rejection`."""
    if isinstance(outcome, Accepted):
        return _hold_of_event(outcome, outcome.event)
    if isinstance(outcome, HoldSeen):
        group = outcome.group
        return _hold(
            outcome.terms,
            outcome.hold_id,
            outcome.status,
            group.seats,
            group.prices,
            group.expires_at_us,
            outcome.epoch,
            outcome.seq,
        )
    return refusal_of(outcome)


def _hold_of_event(accepted: Accepted, event: AnyEvent | None) -> Hold:
    status: HoldStatus
    match event:
        case SeatsHeld() | HoldExtended():
            status, seats, prices = "active", event.seats, event.prices
        case HoldReleased() if event.seats:
            status, seats, prices = "active", event.seats, event.prices
        case HoldReleased():
            status, seats, prices = "released", event.released, event.released_prices
        case _:
            raise TypeError(f"{type(event).__name__} shows no hold")
    return _hold(
        accepted.terms,
        event.hold_id,
        status,
        seats,
        prices,
        event.expires_at_us,
        accepted.epoch,
        accepted.seq,
    )


def _hold(
    terms: ShowtimeTerms,
    hold_id: bytes,
    status: HoldStatus,
    seats: Seats,
    prices: Prices,
    expires_at_us: int,
    epoch: int,
    seq: int,
) -> Hold:
    return Hold(
        format_id(hold_id),
        _showtime_text(terms.showtime_id),
        status,
        held_seats(terms, seats, prices),
        money(sum(prices), terms.currency),
        _moment(expires_at_us),
        epoch,
        seq,
    )


def held_seats(terms: ShowtimeTerms, seats: Seats, prices: Prices) -> list[HeldSeat]:
    """Seats as a client sees them."""
    plan, currency = terms.plan, terms.currency
    labels, categories, category_of = plan.labels, plan.categories, plan.category_of
    if len(seats) == 1:
        seat = seats[0]
        return [_held_seat(labels[seat], categories[category_of[seat]], prices[0], currency)]
    return [
        _held_seat(labels[seat], categories[category_of[seat]], price, currency)
        for seat, price in zip(seats, prices, strict=True)
    ]


@lru_cache(maxsize=SEATS_SHOWN_KEPT)
def _held_seat(label: str, category: str, price_minor: int, currency: str) -> HeldSeat:
    return HeldSeat(label, category, money(price_minor, currency))


@lru_cache(maxsize=4096)
def money(amount_minor: int, currency: str) -> Money:
    """An amount; a cinema has few different ones."""
    return Money(amount_minor, currency)


_showtime_text: Final = lru_cache(maxsize=4096)(format_id)


_moment: Final = lru_cache(maxsize=256)(from_us)
