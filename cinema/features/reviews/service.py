"""Reviews: written by who has seen a film, read by all, moderated by admins."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from cinema.domain.idempotency import IdempotencyKey
from cinema.domain.paging import BY_MOMENT, Page, PageQuery, after, page
from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.domain.text import hidden_character
from cinema.domain.times import from_us, to_us
from cinema.features.accounts.shapes import Client
from cinema.features.accounts.user_store import Act
from cinema.features.catalog.store import CatalogRepository
from cinema.features.refusals import found, granted
from cinema.features.reviews.rules import WordList, status_of, tidy_text
from cinema.features.reviews.shapes import (
    Decision,
    ModeratedReview,
    ModerationQuery,
    OwnReview,
    Reported,
    ReportReason,
    Review,
    ReviewChange,
    ReviewDeleted,
    ReviewInput,
)
from cinema.features.reviews.store import Position, ReviewsRepository


class ReviewsService:
    """Use cases of reviews; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        reviews: ReviewsRepository,
        catalog: CatalogRepository,
        words: WordList,
        *,
        needs_scan: bool,
        new_id: Callable[[], UUID],
        now: Callable[[], datetime],
    ) -> None:
        self._reviews = reviews
        self._catalog = catalog
        self._words = words
        self._needs_scan = needs_scan
        self._new_id = new_id
        self._now = now

    async def of_movie(self, movie_id: UUID, query: PageQuery) -> Page[Review]:
        """The published reviews of a film, the newest first. Refuses NOT_FOUND."""
        found(await self._catalog.find_movie(movie_id))
        rows = await self._reviews.of_movie(movie_id, _position(query.cursor), query.limit + 1)
        return page(rows, query.limit, _place)

    async def own(self, by: Principal, query: PageQuery) -> Page[OwnReview]:
        """The caller's reviews, the newest first."""
        rows = await self._reviews.of_user(
            UUID(bytes=by.user_id), _position(query.cursor), query.limit + 1
        )
        return page(rows, query.limit, _place)

    async def write(
        self, by: Principal, movie_id: UUID, request: ReviewInput, key: IdempotencyKey | None
    ) -> OwnReview:
        """A new review. Refuses NOT_FOUND, VALIDATION_ERROR, REVIEW_NOT_ALLOWED, ALREADY_REVIEWED.

        Refuses IDEMPOTENCY_MISMATCH.
        """
        found(await self._catalog.find_movie(movie_id))
        text = tidy_text(request.text, "$.text")
        return await self._reviews.add(
            self._new_id(),
            movie_id,
            UUID(bytes=by.user_id),
            request.rating,
            text,
            status_of(text, self._words),
            needs_scan=self._needs_scan,
            now=self._now(),
            key=key,
        )

    async def change(self, by: Principal, review_id: UUID, change: ReviewChange) -> OwnReview:
        """The caller's review as it is now. Refuses NOT_FOUND, VALIDATION_ERROR."""
        text = None if change.text is None else tidy_text(change.text, "$.text")
        changed = await self._reviews.change(
            review_id,
            UUID(bytes=by.user_id),
            change.rating,
            text,
            lambda said, before: status_of(said, self._words, before),
            self._now(),
        )
        return found(changed)

    async def delete(self, by: Principal, review_id: UUID) -> ReviewDeleted:
        """Take the caller's review away. Refuses NOT_FOUND."""
        user_id = UUID(bytes=by.user_id)
        return found(await self._reviews.delete(review_id, user_id, self._now()))

    async def report(self, by: Principal, review_id: UUID, reason: ReportReason) -> Reported:
        """Say that a review should be looked at, once for each caller.

        Refuses NOT_FOUND, also if it is not published, and FORBIDDEN for one's own.
        """
        user_id = UUID(bytes=by.user_id)
        author_id = await self._reviews.author_of(review_id)
        if author_id == user_id:
            raise refuse("FORBIDDEN", "This is your review: change or delete it.")
        if not await self._reviews.report(review_id, user_id, reason, self._now()):
            raise refuse("NOT_FOUND")
        return Reported(id=review_id)

    async def moderated(self, query: ModerationQuery) -> Page[ModeratedReview]:
        """Reviews of a status, the oldest first."""
        rows = await self._reviews.by_status(query.status, _position(query.cursor), query.limit + 1)
        return page(rows, query.limit, _place)

    async def decide(
        self, by: Principal, review_id: UUID, decision: Decision, client: Client
    ) -> ModeratedReview:
        """Publish or reject a review. Refuses NOT_FOUND, VALIDATION_ERROR."""
        reason = unicodedata.normalize("NFC", decision.reason).strip()
        if hidden_character(reason) or (decision.status == "rejected") != bool(reason):
            text = "Say why it is rejected, in one line; nothing is to be said of one that is not."
            raise refuse("VALIDATION_ERROR", text, path="$.reason")
        act = Act(by=UUID(bytes=by.user_id), at=self._now(), client=client, entry_id=self._new_id())
        return found(await self._reviews.decide(review_id, decision.status, reason, act))


def _position(cursor: str | None) -> Position | None:
    position = granted(after(cursor, BY_MOMENT))
    return None if position is None else (from_us(position[0]), position[1])


def _place(one: Review) -> tuple[object, UUID]:
    return to_us(one.created_at), one.id
