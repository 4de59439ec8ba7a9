"""Routes of recommendations."""

from __future__ import annotations

from typing import Final

from cinema.features.recommendations import examples
from cinema.features.recommendations.service import RecommendationsService
from cinema.features.recommendations.shapes import (
    EventsAccepted,
    EventsInput,
    Feedback,
    FeedbackForgotten,
    FeedbackInput,
    FeedbackQuery,
    Preferences,
    PreferencesInput,
    Recommendation,
    RecommendationQuery,
)
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Recommendations"


@Operation(
    method="GET",
    path="/api/v1/recommendations",
    operation_id="listRecommendations",
    summary="Films that you may like",
    description="Films that can be booked for the next 14 days, but for those that you have seen "
    "or hidden. With a token they follow from your bookings, feedback and preferences; each has a "
    "reason, which says nothing of anybody else. At most three of ten are of one genre, and one "
    "place in ten tries something out.",
    tag=TAG,
    auth="optional",
    guests=True,
    query=RecommendationQuery,
    response=list[Recommendation],
    response_example=[examples.RECOMMENDATION],
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def list_recommendations(
    recommendations: RecommendationsService, context: RequestContext
) -> Reply:
    """A page of films."""
    return success(await recommendations.recommend(context.caller, context.query))


@Operation(
    method="POST",
    path="/api/v1/recommendations/feedback",
    operation_id="sendRecommendationFeedback",
    summary="Say what you think of a film",
    description="It replaces what you said before. `more` and `less` count like a good and a bad "
    "rating; `hide` and `seen` take the film off your list.",
    tag=TAG,
    auth="bearer",
    request=FeedbackInput,
    request_example=examples.FEEDBACK_INPUT,
    response=Feedback,
    response_example=examples.FEEDBACK,
    errors=("NOT_FOUND", "RETRY", "OUTCOME_UNKNOWN"),
)
async def send_feedback(recommendations: RecommendationsService, context: RequestContext) -> Reply:
    """Keep feedback."""
    return success(await recommendations.say(context.principal, context.body))


@Operation(
    method="DELETE",
    path="/api/v1/recommendations/feedback",
    operation_id="deleteRecommendationFeedback",
    summary="Take back what you said of a film",
    tag=TAG,
    auth="bearer",
    query=FeedbackQuery,
    response=FeedbackForgotten,
    response_example=examples.FORGOTTEN,
    errors=("NOT_FOUND", "RETRY", "OUTCOME_UNKNOWN"),
)
async def delete_feedback(
    recommendations: RecommendationsService, context: RequestContext
) -> Reply:
    """Forget feedback."""
    return success(await recommendations.unsay(context.principal, context.query.movie_id))


@Operation(
    method="POST",
    path="/api/v1/events",
    operation_id="sendPageEvents",
    summary="Tell what you did with recommended films",
    description="Up to 50 at once. They are kept for 180 days, with no address and no device; "
    "those of callers who have opted out, or have no token, are not. Seat maps and checkouts that "
    "were opened are also counted for their showtimes, whoever opened them.",
    tag=TAG,
    auth="optional",
    guests=True,
    request=EventsInput,
    request_example=examples.EVENTS_INPUT,
    response=EventsAccepted,
    response_example=examples.ACCEPTED,
    status=202,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def send_events(recommendations: RecommendationsService, context: RequestContext) -> Reply:
    """Keep events."""
    accepted = await recommendations.note(context.caller, context.body.events)
    return success(accepted, status=202)


@Operation(
    method="GET",
    path="/api/v1/me/preferences",
    operation_id="getPreferences",
    summary="What you like",
    tag=TAG,
    auth="bearer",
    response=Preferences,
    response_example=examples.PREFERENCES,
    errors=("RETRY",),
)
async def get_preferences(
    recommendations: RecommendationsService, context: RequestContext
) -> Reply:
    """The caller's preferences."""
    return success(await recommendations.preferences(context.principal))


@Operation(
    method="PUT",
    path="/api/v1/me/preferences",
    operation_id="replacePreferences",
    summary="Say what you like, and where",
    description="Missing fields get their defaults. With `opt_out` nothing that you do counts for "
    "recommendations, yours or others'; what was kept of it for them is deleted. With a "
    "`date_of_birth` films that are rated for older people are not recommended; it is kept "
    "encrypted, nobody else sees it, and a call without it deletes it.",
    tag=TAG,
    auth="bearer",
    request=PreferencesInput,
    request_example=examples.PREFERENCES,
    response=Preferences,
    response_example=examples.PREFERENCES,
    errors=("UNKNOWN_REFERENCE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def replace_preferences(
    recommendations: RecommendationsService, context: RequestContext
) -> Reply:
    """Replace the caller's preferences."""
    return success(await recommendations.set_preferences(context.principal, context.body))


ROUTES: Final = (
    list_recommendations,
    send_feedback,
    delete_feedback,
    send_events,
    get_preferences,
    replace_preferences,
)
