"""Errors as the API answers them."""

from __future__ import annotations

from typing import Any

import msgspec


class ApiError(Exception):
    """A refusal, with its status and what stands in the body's `error`."""

    def __init__(self, status: int, kind: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message, **details}

    @property
    def body(self) -> bytes:
        """The body of the answer."""
        return msgspec.json.encode({"error": self.error})


def invalid(message: str, *, status: int = 400, **details: Any) -> ApiError:
    """An `invalid_request_error`."""
    return ApiError(status, "invalid_request_error", message, **details)


def missing(kind: str, name: str, param: str) -> ApiError:
    """The object is not there, or was made in another mode."""
    return invalid(f"No such {kind}: '{name}'", status=404, code="resource_missing", param=param)
