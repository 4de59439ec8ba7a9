"""The contract's shapes of accounts and catalogue, gathered for whoever documents them."""

from __future__ import annotations

from datetime import date as Date  # noqa: N812  (a field below is named `date`)
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta

from cinema.domain.accounts import Authenticated, LoginInput, PromoteInput, RegisterInput, User
from cinema.domain.catalog import (
    Cinema,
    CinemaInput,
    Grid,
    LayoutInput,
    Movie,
    MovieInput,
    Rules,
    Sales,
    SalesInput,
    Screen,
    ScreenInput,
    ScreenLayout,
    Showtime,
    ShowtimeInput,
)
from cinema.domain.limits_catalog import CURSOR_CHARS, PAGE_DEFAULT, PAGE_LIMIT, SEARCH_CHARS
from cinema.domain.money import Money

__all__ = [
    "Authenticated",
    "Cinema",
    "CinemaInput",
    "Grid",
    "LayoutInput",
    "LoginInput",
    "Money",
    "Movie",
    "MovieInput",
    "MovieQuery",
    "Page",
    "PageQuery",
    "PromoteInput",
    "RegisterInput",
    "Rules",
    "Sales",
    "SalesInput",
    "Screen",
    "ScreenInput",
    "ScreenLayout",
    "Showtime",
    "ShowtimeInput",
    "ShowtimeQuery",
    "User",
]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    items: list[T]
    next_cursor: str | None


Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT)]
Cursor = Annotated[str, Meta(max_length=CURSOR_CHARS)]


class PageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of a list."""

    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class MovieQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which movies; `genre` and `q` (part of a title) ignore case and accents."""

    genre: Annotated[str, Meta(max_length=SEARCH_CHARS)] | None = None
    q: Annotated[str, Meta(max_length=SEARCH_CHARS)] | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None


class ShowtimeQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which showtimes. Days are those of each cinema's own calendar; without any: not yet over."""

    date: Date | None = None
    date_from: Date | None = None
    date_to: Date | None = None
    cinema_id: str | None = None
    movie_id: str | None = None
    limit: Limit = PAGE_DEFAULT
    cursor: Cursor | None = None
