"""Routes of reviews."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.reviews import examples
from cinema.features.reviews.service import ReviewsService
from cinema.features.reviews.shapes import (
    Decision,
    ModeratedReview,
    ModerationQuery,
    OwnReview,
    Reported,
    ReportInput,
    Review,
    ReviewChange,
    ReviewDeleted,
    ReviewInput,
)
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed, shared_list
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Reviews"
ADMINS: Final = frozenset({ADMIN})


class ReviewParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    reviews: ReviewsService
    door: FrontDoor


@Operation(
    method="GET",
    path="/api/v1/movies/{movie_id}/reviews",
    operation_id="listReviewsOfMovie",
    summary="List the reviews of a film, newest first",
    description="The film's `rating` has their number and average.",
    tag=TAG,
    query=PageQuery,
    response=list[Review],
    response_example=[examples.REVIEW],
    meta=PageMeta,
    etag=True,
    errors=("RETRY",),
)
async def list_reviews(parts: ReviewParts, context: RequestContext) -> Reply:
    """A page of published reviews."""
    (movie_id,) = context.ids
    return shared_list(context.request, await parts.reviews.of_movie(movie_id, context.query))


@Operation(
    method="POST",
    path="/api/v1/movies/{movie_id}/reviews",
    operation_id="writeReview",
    summary="Review a film that you have seen",
    description="Once for each film, as soon as a ticket of yours was scanned. It is published at "
    "once, or waits for a moderator (`pending`) where words or addresses ask for one.",
    tag=TAG,
    auth="bearer",
    request=ReviewInput,
    request_example=examples.INPUT,
    response=OwnReview,
    response_example=examples.OWN,
    status=201,
    errors=("REVIEW_NOT_ALLOWED", "ALREADY_REVIEWED", "RETRY", "OUTCOME_UNKNOWN"),
    idempotent=True,
)
async def write_review(parts: ReviewParts, context: RequestContext) -> Reply:
    """Write a review."""
    (movie_id,) = context.ids
    key = context.request_key
    written = await parts.reviews.write(context.principal, movie_id, context.body, key)
    return success(written, status=201)


@Operation(
    method="GET",
    path="/api/v1/reviews",
    operation_id="listOwnReviews",
    summary="List your reviews, newest first",
    description="Also those that wait for a moderator or were rejected, with the reason.",
    tag=TAG,
    auth="bearer",
    query=PageQuery,
    response=list[OwnReview],
    response_example=[examples.OWN],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_own(parts: ReviewParts, context: RequestContext) -> Reply:
    """A page of the caller's reviews."""
    return listed(await parts.reviews.own(context.principal, context.query))


@Operation(
    method="PATCH",
    path="/api/v1/reviews/{review_id}",
    operation_id="changeReview",
    summary="Change your review",
    description="One that waits for a moderator, or was rejected, waits with its new content.",
    tag=TAG,
    auth="bearer",
    request=ReviewChange,
    request_example={"rating": 4},
    response=OwnReview,
    response_example=examples.CHANGED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_review(parts: ReviewParts, context: RequestContext) -> Reply:
    """Change a review."""
    (review_id,) = context.ids
    return success(await parts.reviews.change(context.principal, review_id, context.body))


@Operation(
    method="DELETE",
    path="/api/v1/reviews/{review_id}",
    operation_id="deleteReview",
    summary="Delete your review",
    description="You may write another one then.",
    tag=TAG,
    auth="bearer",
    response=ReviewDeleted,
    response_example=examples.DELETED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def delete_review(parts: ReviewParts, context: RequestContext) -> Reply:
    """Delete a review."""
    (review_id,) = context.ids
    return success(await parts.reviews.delete(context.principal, review_id))


@Operation(
    method="POST",
    path="/api/v1/reviews/{review_id}/report",
    operation_id="reportReview",
    summary="Report a review of somebody else",
    description="Once more is nothing. What three people have reported waits for a moderator, and "
    "nobody else sees it meanwhile.",
    tag=TAG,
    auth="bearer",
    request=ReportInput,
    request_example={"reason": "spoiler"},
    response=Reported,
    response_example=examples.REPORTED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def report_review(parts: ReviewParts, context: RequestContext) -> Reply:
    """Report a review."""
    (review_id,) = context.ids
    reason = context.body.reason
    return success(await parts.reviews.report(context.principal, review_id, reason))


@Operation(
    method="GET",
    path="/api/v1/admin/reviews",
    operation_id="listReviews",
    summary="List reviews of a status, oldest first",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    query=ModerationQuery,
    response=list[ModeratedReview],
    response_example=[examples.MODERATED],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_moderated(parts: ReviewParts, context: RequestContext) -> Reply:
    """A page of reviews for moderators."""
    return listed(await parts.reviews.moderated(context.query))


@Operation(
    method="PATCH",
    path="/api/v1/admin/reviews/{review_id}",
    operation_id="decideReview",
    summary="Publish or reject a review",
    description="`rejected` needs a `reason`, which the author reads. The audit log says who has "
    "decided.",
    tag=TAG,
    auth="bearer",
    roles=ADMINS,
    request=Decision,
    request_example=examples.DECISION,
    response=ModeratedReview,
    response_example=examples.REJECTED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def decide_review(parts: ReviewParts, context: RequestContext) -> Reply:
    """Decide about a review."""
    (review_id,) = context.ids
    client = parts.door.client(context)
    decided = await parts.reviews.decide(context.principal, review_id, context.body, client)
    return success(decided)


ROUTES: Final = (
    list_reviews,
    write_review,
    list_own,
    change_review,
    delete_review,
    report_review,
    list_moderated,
    decide_review,
)
