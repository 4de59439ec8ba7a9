"""Routes of calendars."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from cinema.features.showtimes.calendar_service import CalendarsService
from cinema.features.showtimes.icalendar import MEDIA_TYPE
from cinema.features.showtimes.shapes import CalendarQuery
from cinema.http.conditional import tagged
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply
from cinema.http.routes import Operation

CALENDAR: Final = Medium(
    content_type=f"{MEDIA_TYPE}; charset=utf-8", cache_control="public, max-age=300"
)
"""Calendars come by more seldom than this."""

_DESCRIPTION: Final = (
    "To subscribe to: iCalendar (RFC 5545), with the showtimes that are not over and start in the "
    "next `days`, up to 1,000. Cancelled ones stay in it, marked as such. Times are in UTC."
)


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/showtimes.ics",
    operation_id="getCalendarOfCinema",
    summary="A calendar of a cinema's coming showtimes",
    description=_DESCRIPTION,
    tag="Cinemas",
    query=CalendarQuery,
    media_type=MEDIA_TYPE,
    etag=True,
    errors=("RETRY",),
)
async def get_calendar_of_cinema(calendars: CalendarsService, context: RequestContext) -> Reply:
    """A cinema's calendar."""
    (cinema_id,) = context.ids
    return _shown(context, await calendars.of_cinema(cinema_id, context.query.days))


@Operation(
    method="GET",
    path="/api/v1/movies/{movie_id}/showtimes.ics",
    operation_id="getCalendarOfMovie",
    summary="A calendar of a film's coming showtimes",
    description=_DESCRIPTION,
    tag="Movies",
    query=CalendarQuery,
    media_type=MEDIA_TYPE,
    etag=True,
    errors=("RETRY",),
)
async def get_calendar_of_movie(calendars: CalendarsService, context: RequestContext) -> Reply:
    """A film's calendar."""
    (movie_id,) = context.ids
    return _shown(context, await calendars.of_movie(movie_id, context.query.days))


def _shown(context: RequestContext, feed: bytes) -> Reply:
    tag = f'"{blake2b(feed, digest_size=12).hexdigest()}"'
    return tagged(context.request, tag, feed, CALENDAR)


ROUTES: Final = (get_calendar_of_cinema, get_calendar_of_movie)
