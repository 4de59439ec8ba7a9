"""Which tickets may be booked together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from cinema.domain.pricing.book import Channel
from cinema.domain.pricing.rules import ReadyBook
from cinema.domain.pricing.showing import AskedTicket
from cinema.domain.rejections import Rejection


def refused_tickets(
    ready: ReadyBook, tickets: Sequence[AskedTicket], channel: Channel
) -> Rejection | None:
    """Why these tickets cannot be booked together; None if they can.

    In this order: UNKNOWN_TICKET_TYPE, then TICKETS_NOT_ALLOWED with `details.reason` CHANNEL,
    MINIMUM, MAXIMUM (of the first such type), NEEDS_PAYING.
    """
    counts = Counter(ticket.type for ticket in tickets)
    unknown = sorted(counts.keys() - ready.types.keys())
    if unknown:
        return Rejection(
            code="UNKNOWN_TICKET_TYPE",
            details={"ticket_types": unknown, "known": sorted(ready.types)},
        )
    paying = dependent = 0
    first_dependent = ""
    for code, count in sorted(counts.items()):
        kind = ready.types[code]
        if channel not in kind.channels:
            return _refused("CHANNEL", f"{kind.name} is not sold here.", code)
        if count < kind.minimum:
            text = f"{kind.name}: {kind.minimum} or more in a booking."
            return _refused("MINIMUM", text, code, limit=kind.minimum)
        if count > kind.maximum:
            text = f"{kind.name}: at most {kind.maximum} in a booking."
            return _refused("MAXIMUM", text, code, limit=kind.maximum)
        if kind.needs_paying:
            dependent += count
            first_dependent = first_dependent or code
        elif not kind.free:
            paying += count
    if dependent > paying:
        text = "Each of these tickets needs another seat that is paid for."
        return _refused("NEEDS_PAYING", text, first_dependent, limit=paying)
    return None


def _refused(reason: str, text: str, code: str, **more: int) -> Rejection:
    details = {"reason": reason, "ticket_type": code, **more}
    return Rejection(code="TICKETS_NOT_ALLOWED", message=text, details=details)
