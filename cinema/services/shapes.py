"""The contract's shapes of accounts and catalogue, gathered for whoever documents them."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from cinema.domain.accounts import Authenticated, LoginInput, PromoteInput, RegisterInput, User
from cinema.domain.catalog import (
    Cinema,
    CinemaInput,
    Grid,
    LayoutInput,
    Movie,
    MovieInput,
    Price,
    Rules,
    Sales,
    SalesInput,
    Screen,
    ScreenInput,
    ScreenLayout,
    Showtime,
    ShowtimeInput,
)

__all__ = [
    "Authenticated",
    "Cinema",
    "CinemaInput",
    "Grid",
    "LayoutInput",
    "LoginInput",
    "Movie",
    "MovieInput",
    "Page",
    "Price",
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
    "User",
]

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """Part of a list; `next_cursor` is None at its end."""

    items: list[T]
    next_cursor: str | None
