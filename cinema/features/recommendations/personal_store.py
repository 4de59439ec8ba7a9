"""What recommendations know of somebody, for the export."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.personal import PAGE_ROWS, PersonalFile, json_list
from cinema.features.recommendations.birth_store import opened_birth
from cinema.storage.database.transactions import Pool, connection
from cinema.storage.encryption import Cipher

# ruff: noqa: S608  (statements are put together from the constants of this module alone)

_PREFERENCES: Final = """
select genres, cinema_ids, opted_out, date_of_birth, updated_at from recommendation_preferences
where user_id = $1"""
_FEEDBACK: Final = """
select movie_id as id, movie_id, kind, exposure_id, at from recommendation_feedback
where user_id = $1"""
_OWN: Final = "(user_id = $1 or user_id in (select id from guests where claimed_by = $1))"
_EVENTS: Final = f"""
select id, movie_id, kind, exposure_id, at from recommendation_events where {_OWN}"""
_EXPOSURES: Final = f"""
select id, movie_id, place, reason, model_version, experiment, arm, shown_at as at
from recommendation_exposures where {_OWN}"""
_PAGE: Final = """
select * from ({rows}) as kept where $2::uuid is null or id > $2 order by id limit $3"""


class RecommendationFacts:
    """Reads what is kept of an account, a page at a time."""

    def __init__(self, pool: Pool, cipher: Cipher, *, page_rows: int = PAGE_ROWS) -> None:
        self._pool = pool
        self._cipher = cipher
        self._page_rows = page_rows

    async def disclose(self, user_id: UUID) -> AsyncIterator[PersonalFile]:
        """What the account said, was shown and did. Raises `CannotOpen`."""
        yield PersonalFile("recommendation_preferences.json", json_list(self._said(user_id)))
        for name, rows in (
            ("recommendation_feedback.json", _FEEDBACK),
            ("recommendation_events.json", _EVENTS),
            ("recommendations_shown.json", _EXPOSURES),
        ):
            yield PersonalFile(name, json_list(self._pages(rows, user_id)))

    async def _said(self, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        async with connection(self._pool) as reading:
            rows = await reading.fetch(_PREFERENCES, user_id)
        yield [
            dict(row) | {"date_of_birth": opened_birth(self._cipher, user_id, row["date_of_birth"])}
            for row in rows
        ]

    async def _pages(self, rows: str, user_id: UUID) -> AsyncIterator[Sequence[Any]]:
        last_id = None
        while True:
            async with connection(self._pool) as reading:
                found = await reading.fetch(
                    _PAGE.format(rows=rows), user_id, last_id, self._page_rows
                )
            if not found:
                return
            yield [dict(row) for row in found]
            last_id = found[-1]["id"]
