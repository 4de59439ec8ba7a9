"""What somebody has said of films, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.storage.database.transactions import Pool, connection

_REVIEWS: Final = """
select r.id, r.movie_id, m.title as film, r.rating, r.text, r.status, r.reason, r.created_at,
    r.updated_at, r.deleted_at
from reviews r left join movies m on m.id = r.movie_id
where r.user_id = $1 and r.id > $2
order by r.id limit $3"""
_REPORTS: Final = """
select review_id, reason, at from review_reports
where user_id = $1 and review_id > $2
order by review_id limit $3"""

_FIRST_ID: Final = UUID(int=0)


class ReviewFacts:
    """Reads the reviews of an account, and what it has reported, a page at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """Reviews, also deleted ones, and reports of others'."""
        yield PersonalFile("reviews.json", json_list(self._pages(_REVIEWS, "id", user_id)))
        reports = self._pages(_REPORTS, "review_id", user_id)
        yield PersonalFile("review_reports.json", json_list(reports))

    async def _pages(self, statement: str, key: str, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = _FIRST_ID
        while True:
            async with connection(self._pool) as reading:
                rows = await reading.fetch(statement, user_id, last_id, PAGE_ROWS)
            if not rows:
                return
            yield [dict(row) for row in rows]
            last_id = rows[-1][key]
