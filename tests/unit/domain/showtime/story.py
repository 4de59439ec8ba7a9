"""A showtime told as a story: given events, when a command comes, then these events.

Times are seconds after `START_US`; ids and customers are named by words.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec

from cinema.domain.rejections import Rejection
from cinema.domain.sale_rules import SaleRules
from cinema.domain.showtime.commands import (
    AbandonPayment,
    AnyCommand,
    BlockSeats,
    BookHold,
    CancelBooking,
    CancelShowtime,
    ChangePlan,
    ChangeSeats,
    ChangeTerms,
    ConfirmPayment,
    ExtendHold,
    HoldBestAvailable,
    HoldSeats,
    JoinWaitlist,
    LeaveWaitlist,
    PauseSales,
    ReleaseHold,
    ResumeSales,
    ReturnPayment,
    Sale,
    StartPayment,
    UnblockSeats,
)
from cinema.domain.showtime.decisions import (
    NOTHING,
    Archived,
    Decision,
    Nothing,
    Recall,
    Recalled,
    Replay,
    decide,
    due_expiries,
    with_offers,
)
from cinema.domain.showtime.events import AnyEvent, Event, ShowConditions, encode_recorded
from cinema.domain.showtime.state import ShowtimeState, evolve
from cinema.domain.showtime.terms import TERMS_EVENTS, ShowtimeTerms, terms_after
from tests.unit.domain.seat_drawing import draw_plan

START_US = 1_700_000_000_000_000
EPOCH = 3
PRICES_MINOR = (1000, 1250, 1600)
ROOM = draw_plan("rrrr", "pppp")


def second(count: float) -> int:
    return START_US + round(count * 1_000_000)


def id_of(name: str) -> bytes:
    return blake2b(name.encode(), digest_size=16).digest()


def fingerprint_of(body: str) -> bytes:
    return blake2b(body.encode(), digest_size=8).digest()


def terms(*rows: str, **changes: Any) -> ShowtimeTerms:
    plan = draw_plan(*rows) if rows else ROOM
    usual = ShowtimeTerms(
        showtime_id=id_of("showtime"),
        plan=plan,
        currency="EUR",
        prices_minor=PRICES_MINOR[: len(plan.categories)],
        starts_at_us=second(7200),
        ends_at_us=second(14_400),
        sales_opens_at_us=second(-3600),
        sales_closes_at_us=second(7200),
        hold_ttl_s=600,
        hold_max_s=1800,
        seats_per_hold=6,
        live_holds_per_customer=4,
        seats_per_staff_hold=8,
        live_holds_per_staff=6,
        protect_orphans=False,
        companions_need_accessible=False,
        movie_id=id_of("film"),
        screen_id=id_of("screen"),
        base_price_minor=PRICES_MINOR[0],
    )
    return msgspec.structs.replace(usual, **changes)


class Story:
    """One showtime whose commands are carried out as its actor does: what is due expires first."""

    def __init__(self, its_terms: ShowtimeTerms) -> None:
        self.terms = its_terms
        self.state = ShowtimeState(its_terms.plan.seat_count, its_terms.plan.version)
        self.archive: dict[bytes, Archived] = {}
        self.decision: Decision = NOTHING
        self.happened: list[AnyEvent] = []

    def record(self, event: AnyEvent, at_us: int, command: AnyCommand | None = None) -> None:
        command_id = command.command_id if command else b""
        fingerprint = command.fingerprint if command else b""
        payload = encode_recorded(command_id, fingerprint, event)
        seq = self.state.seq + 1
        evolve(self.state, seq, EPOCH, at_us, command_id, fingerprint, event, payload)
        self.happened.append(event)

    def when(self, command: AnyCommand, at_s: float = 0) -> Story:
        now_us = max(second(at_s), self.state.at_us)
        self.happened = []
        for due in due_expiries(self.state, now_us):
            event = due
            if self.state.waitlist:
                event = with_offers(self.state, self.terms, None, due, now_us)
            self.record(event, now_us)
        self.decision = decide(self.state, self.terms, command, now_us)
        found: dict[bytes, Archived] = {}
        while isinstance(self.decision, Recall):
            assert self.decision.key not in found, "asked the archive twice for the same"
            found[self.decision.key] = self.archive.get(self.decision.key, Archived())
            recalled = Recalled(self.state.epoch, self.state.archive_generation, dict(found))
            self.decision = decide(self.state, self.terms, command, now_us, recalled)
        if isinstance(self.decision, Event):
            self.record(self.decision, now_us, command)
            if type(self.decision) in TERMS_EVENTS:
                self.terms = terms_after(self.terms, command, self.decision)
        return self

    def then(self, *events: AnyEvent) -> Story:
        assert not isinstance(self.decision, Rejection | Replay | Recall), self.decision
        assert self.happened == list(events)
        return self

    def then_refused(self, code: str, **details: object) -> Story:
        assert isinstance(self.decision, Rejection), self.decision
        assert (self.decision.code, self.decision.details) == (code, details or None)
        return self

    @property
    def message(self) -> str:
        """What the last refusal tells people."""
        assert isinstance(self.decision, Rejection), self.decision
        return self.decision.message

    def then_nothing(self) -> Story:
        assert isinstance(self.decision, Nothing), self.decision
        assert self.happened == []
        return self

    def drawn(self) -> str:
        """The seats' statuses, a row after the other."""
        marks = "".join(".hbx"[status] for status in self.state.seats)
        return " ".join(marks[start:end] for start, end in self.terms.plan.rows)


def given(*steps: AnyEvent | AnyCommand, **changes: Any) -> Story:
    """A showtime after these commands (which must succeed) and events, all at second 0."""
    story = Story(changes.pop("its_terms", None) or terms(**changes))
    for step in steps:
        if isinstance(step, Event):
            story.record(step, START_US)
        else:
            story.when(step)
            assert isinstance(story.decision, Event), story.decision
    return story


def _keyed(fields: dict[str, Any], key: str | None, body: str) -> dict[str, Any]:
    if key is None:
        return {"command_id": id_of(repr(fields)), **fields}
    return {"command_id": id_of(key), "fingerprint": fingerprint_of(body), **fields}


def _labels(named: str | None) -> list[str] | None:
    return None if named is None else named.split()


def hold(
    labels: str, hold_id: str = "hold", by: str = "ann", key: str | None = None, **more: Any
) -> HoldSeats:
    fields = {"hold_id": id_of(hold_id), "customer": id_of(by), "labels": labels.split(), **more}
    return HoldSeats(**_keyed(fields, key, labels))


def hold_best(
    quantity: int, hold_id: str = "hold", by: str = "ann", key: str | None = None, **wishes: Any
) -> HoldBestAvailable:
    fields = {"hold_id": id_of(hold_id), "customer": id_of(by), "quantity": quantity, **wishes}
    return HoldBestAvailable(**_keyed(fields, key, f"{quantity}{wishes}"))


def extend(hold_id: str = "hold", by: str = "ann", key: str | None = None) -> ExtendHold:
    return ExtendHold(**_keyed({"hold_id": id_of(hold_id), "customer": id_of(by)}, key, "extend"))


def release(
    labels: str | None = None, hold_id: str = "hold", by: str = "ann", key: str | None = None
) -> ReleaseHold:
    fields = {"hold_id": id_of(hold_id), "customer": id_of(by), "labels": _labels(labels)}
    return ReleaseHold(**_keyed(fields, key, str(labels)))


def sale(labels: str, *prices: int, **more: Any) -> Sale:
    """What seats are to be booked for, quoted without a book."""
    usual: dict[str, Any] = {"book_version": 0, "types": (), "taxes": ()}
    return Sale(labels=tuple(labels.split()), prices=prices, **{**usual, **more})


def book(
    hold_id: str = "hold",
    booking_id: str = "booking",
    by: str = "ann",
    key: str | None = None,
    **more: Any,
) -> BookHold:
    fields = {
        "hold_id": id_of(hold_id),
        "customer": id_of(by),
        "booking_id": id_of(booking_id),
        "code": "7KXQ2MPA",
        "payment_id": id_of(f"payment of {booking_id}"),
        "payment_method": "demo",
        **more,
    }
    return BookHold(**_keyed(fields, key, hold_id))


def pay(
    hold_id: str = "hold",
    booking_id: str = "booking",
    by: str = "ann",
    key: str | None = None,
    **more: Any,
) -> StartPayment:
    fields = {
        "hold_id": id_of(hold_id),
        "customer": id_of(by),
        "booking_id": id_of(booking_id),
        "code": "7KXQ2MPA",
        "payment_id": id_of(f"payment of {booking_id}"),
        "payment_method": "stripe",
        **more,
    }
    return StartPayment(**_keyed(fields, key, hold_id))


def paid(
    seat_count: int = 1,
    hold_id: str = "hold",
    booking_id: str = "booking",
    by: str = "ann",
    key: str | None = None,
) -> ConfirmPayment:
    fields = {
        "hold_id": id_of(hold_id),
        "customer": id_of(by),
        "booking_id": id_of(booking_id),
        "code": "7KXQ2MPA",
        "payment_id": id_of(f"payment of {booking_id}"),
        "payment_method": "stripe",
        "seat_count": seat_count,
    }
    return ConfirmPayment(**_keyed(fields, key, hold_id))


def abandon(
    hold_id: str = "hold", booking_id: str = "booking", by: str = "ann", *, expired: bool = True
) -> AbandonPayment:
    fields = {"hold_id": id_of(hold_id), "customer": id_of(by), "booking_id": id_of(booking_id)}
    return AbandonPayment(**_keyed({**fields, "expired": expired}, None, hold_id))


def give_back(hold_id: str = "hold", booking_id: str = "booking", by: str = "ann") -> ReturnPayment:
    fields = {"hold_id": id_of(hold_id), "customer": id_of(by), "booking_id": id_of(booking_id)}
    return ReturnPayment(**_keyed(fields, None, hold_id))


def cancel(
    labels: str | None = None,
    booking_id: str = "booking",
    by: str | None = "ann",
    key: str | None = None,
) -> CancelBooking:
    customer = None if by is None else id_of(by)
    fields = {"booking_id": id_of(booking_id), "customer": customer, "labels": _labels(labels)}
    return CancelBooking(**_keyed(fields, key, str(labels)))


def change(
    left: str,
    chosen: str,
    *prices: int,
    by: str | None = "ann",
    key: str | None = None,
    seen: dict[str, int] | None = None,
    **more: Any,
) -> ChangeSeats:
    """Other seats for tickets of a booking, which has these alone, for 1000 each, unless `seen`."""
    named = left.split()
    fields = {
        "booking_id": id_of("booking"),
        "customer": None if by is None else id_of(by),
        "left": named,
        "chosen": chosen.split(),
        "layout_version": 1,
        "seen": tuple((seen or dict.fromkeys(named, 1000)).items()),
        "prices": prices or (1000,) * len(named),
        "payment_id": id_of("payment of the change"),
        **more,
    }
    return ChangeSeats(**_keyed(fields, key, f"{left} {chosen}"))


def block(labels: str, key: str | None = None) -> BlockSeats:
    return BlockSeats(**_keyed({"labels": labels.split()}, key, labels))


def unblock(labels: str, key: str | None = None) -> UnblockSeats:
    return UnblockSeats(**_keyed({"labels": labels.split()}, key, labels))


def change_plan(*rows: str, version: int = 2, prices: tuple[int, ...] | None = None) -> ChangePlan:
    plan = draw_plan(*rows, version=version)
    prices = prices or PRICES_MINOR[: len(plan.categories)]
    return ChangePlan(command_id=id_of(f"plan {version}"), plan=plan, prices_minor=prices)


RULES = SaleRules(
    seats_per_hold=6,
    live_holds_per_customer=4,
    seats_per_staff_hold=8,
    live_holds_per_staff=6,
    hold_ttl_s=600,
    hold_max_s=1800,
    protect_orphans=False,
    companions_need_accessible=False,
)


def conditions(**changes: Any) -> ShowConditions:
    """What the row of the usual showtime says, with these changes."""
    usual = ShowConditions(
        movie_id=id_of("film"),
        screen_id=id_of("screen"),
        starts_at_us=second(7200),
        ends_at_us=second(14_400),
        clear_at_us=second(15_300),
        local_date="2023-11-15",
        base_price_minor=PRICES_MINOR[0],
        price_overrides=(),
        format="2D",
        language="en",
        sales_opens_at_us=second(-3600),
        sales_closes_at_us=second(7200),
        rules="{}",
    )
    return msgspec.structs.replace(usual, **changes)


def change_terms(
    *,
    seen: tuple[int, ...] = (1,),
    rules: SaleRules = RULES,
    job_id: bytes = b"",
    **changes: Any,
) -> ChangeTerms:
    wanted = conditions(**changes)
    return ChangeTerms(
        command_id=id_of(f"terms {seen} {wanted}"),
        seen=seen,
        conditions=wanted,
        rules=rules,
        job_id=job_id,
    )


def cancel_showtime(
    reason: str = "no heating", *, seen: tuple[int, ...] = (1,), key: str | None = None
) -> CancelShowtime:
    fields = {"seen": seen, "reason": reason, "job_id": id_of("job")}
    return CancelShowtime(**_keyed(fields, key, reason))


def join(quantity: int = 1, by: str = "bob", key: str | None = None, **wishes: Any) -> JoinWaitlist:
    """Somebody begins to wait; the entry, and so the hold, is called as in `entry_of`."""
    entry_id = id_of(entry_of(by))
    fields = {"entry_id": entry_id, "customer": id_of(by), "quantity": quantity, **wishes}
    return JoinWaitlist(**_keyed(fields, key, f"{quantity}{wishes}"))


def entry_of(by: str) -> str:
    """The name of somebody's entry in the wait list."""
    return f"entry of {by}"


def leave(by: str = "bob", key: str | None = None) -> LeaveWaitlist:
    return LeaveWaitlist(**_keyed({"customer": id_of(by)}, key, "leave"))


def pause() -> PauseSales:
    return PauseSales(command_id=id_of("pause"))


def resume() -> ResumeSales:
    return ResumeSales(command_id=id_of("resume"))
