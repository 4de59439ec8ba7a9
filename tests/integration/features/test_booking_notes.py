"""Notes about bookings go when they are old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from cinema.features.accounts.letters import no_post
from cinema.features.bookings.staff_store import NOTES_KEPT, StaffBookingsRepository
from cinema.storage.database.transactions import Pool

pytestmark = pytest.mark.postgres

NOW = datetime(2026, 6, 1, tzinfo=UTC)


async def test_notes_are_deleted_after_two_years_a_few_at_a_time(pool: Pool) -> None:
    staff = StaffBookingsRepository(pool, no_post)
    ages = [NOTES_KEPT + timedelta(seconds=n) for n in (3, 2, 1)] + [NOTES_KEPT, timedelta(0)]
    for age in ages:
        await pool.execute(
            "insert into booking_notes (id, booking_id, text, written_at)"
            " values ($1, $1, 'Came late.', $2)",
            uuid4(),
            NOW - age,
        )
    assert await staff.forget(NOW, 2) == 2
    assert await staff.forget(NOW, 2) == 1
    assert await staff.forget(NOW, 2) == 0
    left = await pool.fetch("select written_at from booking_notes order by written_at")
    assert [row["written_at"] for row in left] == [NOW - NOTES_KEPT, NOW]
