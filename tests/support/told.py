"""What the events of showtimes tell, wherever it is by now: in the outbox, or told already."""

from __future__ import annotations

from typing import Final

TOLD: Final = """(
    select 0 as page, position as nth, showtime_id, journal_seq as seq, type as kind,
        booking_id::text as booking_id, data::text as payload
    from public_events where journal_seq is not null
    union all
    select 1, id, showtime_id, seq, kind, payload ->> 'booking_id', payload::text from outbox
    order by page, nth
) told"""
"""For the FROM of a statement; in the order of what happened."""
