"""Turns refusals that are values into exceptions.

Domain and actors return refusals as values, because a decision is data there. Use cases have many
steps that may refuse, so they raise `Refused`, and the edge answers it at one place.
"""

from __future__ import annotations

from typing import TypeVar

from cinema.domain.rejections import Refused, Rejection, refuse

T = TypeVar("T")


def granted(answer: T | Rejection) -> T:
    """The answer; a refusal is raised."""
    if isinstance(answer, Rejection):
        raise Refused(answer)
    return answer


def found(value: T | None, message: str = "") -> T:
    """The value that was looked for. Refuses NOT_FOUND for None."""
    if value is None:
        raise refuse("NOT_FOUND", message)
    return value


def lost_update(version: int | None) -> Refused:
    """Why a row of a seen version was not found: it is gone, or has another version now."""
    if version is None:
        return refuse("NOT_FOUND")
    return refuse("PRECONDITION_FAILED", version=version)
