"""What nodes own: showtimes."""

from __future__ import annotations

from typing import Final

from cinema.http.owned import Owned

SHOWTIMES: Final = Owned(
    parameter="showtime_id",
    path="/api/v1/showtimes/{showtime_id}/",
    header="Cinema-Owner",
    about="The node (`host:port`) of a cluster that owns the showtime: requests are fastest there.",
)
"""Requests to a showtime's actor; balancers may use the header. All nodes share the catalogue."""
