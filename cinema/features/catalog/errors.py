"""The codes of this feature's refusals."""

from __future__ import annotations

from typing import Final

from cinema.http.errors import ErrorKind

ERRORS: Final = {
    "UNUSABLE_IMAGE": ErrorKind(422, "No picture can be made of this file."),
    "UNUSABLE_PLAN": ErrorKind(422, "No layout can be made of this seating plan."),
    "MOVIE_IN_USE": ErrorKind(409, "Coming showtimes of this film are booked: cancel them first."),
    "SCREEN_IN_USE": ErrorKind(
        409, "Coming showtimes on this screen are booked: cancel them first."
    ),
    "CINEMA_IN_USE": ErrorKind(
        409, "Coming showtimes of this cinema are booked: cancel them first."
    ),
}
