"""Refusals a client can cause: values with a code, never exceptions inside the domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused; a refused request changed nothing.

    `code` is one of the table of errors (`docs/errors.md`). With an empty `message` the client gets
    the default text of the table.
    """

    code: str
    message: str = ""
    details: Mapping[str, Any] | None = None


class Refused(Exception):
    """Brings a `Rejection` from a service to the code that answers the client."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.code)
        self.rejection = rejection


def refuse(code: str, message: str = "", **details: object) -> Refused:
    """A `Refused` to raise; keyword arguments become `details`."""
    return Refused(Rejection(code=code, message=message, details=details or None))
