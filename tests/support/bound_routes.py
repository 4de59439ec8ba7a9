"""All routes of both edges, for tests of what their declarations say."""

from __future__ import annotations

from typing import Any, cast

from cinema.features.accounts import (
    credential_routes,
    guest_routes,
    profile_routes,
    session_routes,
    totp_routes,
    user_routes,
)
from cinema.features.accounts import routes as auth_routes
from cinema.features.bookings import change_routes, exchange_routes, order_routes, staff_routes
from cinema.features.bookings import routes as booking_routes
from cinema.features.catalog import cinema_routes, movie_routes, poster_routes, screen_routes
from cinema.features.operations import (
    action_routes,
    health_routes,
    history_routes,
    intervention_routes,
)
from cinema.features.operations import routes as control_routes
from cinema.features.seats import hold_routes, seat_routes
from cinema.features.showtimes import routes as showtime_routes
from cinema.features.website import routes as website_routes
from cinema.http.document import assets
from cinema.http.routes import Route, bound

NOTHING = cast("Any", object())  # Routes only keep the service for when they are called.

ROUTES: tuple[Route, ...] = (
    *bound(auth_routes.ROUTES, NOTHING),
    *bound(session_routes.ROUTES, NOTHING),
    *bound(credential_routes.ROUTES, NOTHING),
    *bound(guest_routes.ROUTES, NOTHING),
    *bound(profile_routes.ROUTES, NOTHING),
    *bound(totp_routes.ROUTES, NOTHING),
    *bound(user_routes.ROUTES, NOTHING),
    *bound(movie_routes.ROUTES, NOTHING),
    *bound(cinema_routes.ROUTES, NOTHING),
    *bound(screen_routes.ROUTES, NOTHING),
    *bound(poster_routes.ROUTES, NOTHING),
    *bound(showtime_routes.ROUTES, NOTHING),
    *bound(seat_routes.ROUTES, NOTHING),
    *bound(hold_routes.ROUTES, NOTHING),
    *bound(booking_routes.ROUTES, NOTHING),
    *bound(change_routes.ROUTES, NOTHING),
    *bound(exchange_routes.ROUTES, NOTHING),
    *bound(order_routes.ROUTES, NOTHING),
    *bound(staff_routes.ROUTES, NOTHING),
    *bound(website_routes.ROUTES, NOTHING),
    *bound(health_routes.ROUTES, NOTHING),
    *bound(assets.ROUTES, NOTHING),
)

CONTROL_ROUTES: tuple[Route, ...] = (
    *bound(control_routes.ROUTES, NOTHING),
    *bound(action_routes.ROUTES, NOTHING),
    *bound(history_routes.ROUTES, NOTHING),
    *bound(intervention_routes.ROUTES, NOTHING),
)
