"""Methods that put money aside here, alone or as a part beside others.

Each has a table of uses: for an attempt (`payment_id`) what is put aside, and its `state`. What is
the same in their statements is here.
"""

from __future__ import annotations

from typing import Final

from cinema.features.ledger.cards import GIFT_CARD

POINTS: Final = "points"

PART_METHODS: Final = (POINTS, GIFT_CARD)
"""In the order in which they pay; all others pay the rest. Money goes back in reverse."""

RANK: Final = (
    "case {}.method "
    + " ".join(f"when '{name}' then {place}" for place, name in enumerate(PART_METHODS))
    + f" else {len(PART_METHODS)} end"
)
"""The place of a payment in that order, for SQL; takes the name of the table."""

CAN_PUT_ASIDE: Final = """
    p.id = $1 and p.status in ('created', 'pending') and not p.reserved"""
"""Whether a payment `p` is the attempt $1 and may put money aside.

Its row is locked: an event that ends its booking waits for it and then finds what is put aside; or
it came before, and nothing is put aside.
"""

PUT_ASIDE_BY_OTHERS: Final = """
        select coalesce(sum(part.amount_minor), 0)::bigint as amount_minor,
            coalesce(array_agg(part.id order by part.created_at, part.id), '{}') as ids
        from payments part
        where part.booking_id = a.booking_id and part.id <> a.id and part.reserved
            and part.status in ('created', 'pending')"""
"""What others have put aside for the booking of an attempt `a`."""

WANTED: Final = f"""
    select a.*, b.total_minor - aside.amount_minor as amount_minor, aside.ids
    from attempt a join bookings b on b.id = a.booking_id
    cross join lateral ({PUT_ASIDE_BY_OTHERS}
    ) aside"""  # noqa: S608  (constants of this module)
"""An `attempt` with all that others have not put aside for its booking, and with their `ids`."""

PUT_ASIDE: Final = """
update payments p set amount_minor = t.amount_minor, reserved = true, status = 'pending',
    completes = t.ids, updated_at = $2
from taken t where p.id = t.payment_id"""
"""Notes at the attempt what was `taken` for it at $2; the last part of a statement."""

HOW_IT_STANDS: Final = """
    p.reserved and p.status in ('created', 'pending') as is_reserved,
    p.amount_minor + coalesce((
        select sum(part.amount_minor) from payments part where part.id = any(p.completes)
    ), 0) >= b.total_minor as pays_all"""
"""Whether an attempt `p` to pay a booking `b` has put money aside, and with others all of it."""

_DECIDED: Final = """
    update {uses} u
    set state = case when p.status in ('failed', 'cancelled') then 'returned' else 'used' end
    from payments p
    where p.id = u.payment_id and u.payment_id = any(array(
        select one.payment_id from {uses} one
        join payments attempt on attempt.id = one.payment_id
        where one.state = 'reserved' and attempt.status not in ('created', 'pending')
        order by one.payment_id limit $2 for update of one skip locked
    ))"""


def decided(uses: str) -> str:
    """SQL that notes in a table of uses what has become of up to $2 of them (`u`, `p`).

    The event that decides about a booking has written it at the attempt.
    """
    return _DECIDED.format(uses=uses)
