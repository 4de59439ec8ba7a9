"""Where a refusal that is a value becomes one that is raised.

Domain and actors answer refusals as values, because a decision is data there. Use cases have many
steps, any of which may refuse, and raise; the edge answers `Refused` at one place.
"""

from __future__ import annotations

from typing import TypeVar

from cinema.domain.rejections import Refused, Rejection, refuse

T = TypeVar("T")


def granted(answer: T | Rejection) -> T:
    """The answer, unless it is a refusal, which is raised."""
    if isinstance(answer, Rejection):
        raise Refused(answer)
    return answer


def found(value: T | None, message: str = "") -> T:
    """What was looked for. Refuses NOT_FOUND where there is nothing."""
    if value is None:
        raise refuse("NOT_FOUND", message)
    return value
