"""`cinema healthcheck`, for a container's health check."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final

from cinema.settings import Settings, reachable

TIMEOUT_S: Final = 2.0
LONGEST_ANSWER_BYTES: Final = 4096


class NotReady(Exception):
    """The server answered that it is not ready."""


def check_health(settings: Settings) -> None:
    """Ask the server of these settings whether it is ready. Raises `NotReady`, or an `OSError`."""
    connection = HTTPConnection(reachable(settings.host), settings.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        text = answer.read(LONGEST_ANSWER_BYTES).decode(errors="replace")
    except HTTPException as error:
        raise NotReady(f"not ready: {error!r}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise NotReady(f"not ready: {answer.status} {text}")
