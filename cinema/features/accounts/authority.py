"""Who may act where: staff and managers in the cinemas they belong to, admins everywhere."""

from __future__ import annotations

from typing import Final

from cinema.domain.ids import format_id, parse_id
from cinema.domain.principal import ADMIN, MANAGER, STAFF, Principal
from cinema.domain.rejections import refuse

COUNTER_ROLES: Final = frozenset({STAFF, MANAGER, ADMIN})
"""Those who serve customers; which ones, `serves` says."""


def has_counter(principal: Principal) -> bool:
    """Whether the caller sells at some cinema's counter, with the limits of a till."""
    return principal.role == ADMIN or (
        principal.role in COUNTER_ROLES and bool(principal.cinema_ids)
    )


def serves(principal: Principal, cinema_id: bytes | None) -> bool:
    """Whether the caller works at this cinema's counter; None stands for one that is gone."""
    if principal.role == ADMIN:
        return True
    return principal.role in COUNTER_ROLES and cinema_id in principal.cinema_ids


def require_manager(principal: Principal, cinema_id: str) -> None:
    """An admin, or a manager of this cinema; refuses FORBIDDEN to others."""
    if principal.role == ADMIN:
        return
    if principal.role != MANAGER or parse_id(cinema_id) not in principal.cinema_ids:
        raise refuse("FORBIDDEN", "You are not a manager of this cinema.")


def known_id(text: str, path: str) -> str:
    """The canonical form of an id in a request, or a VALIDATION_ERROR."""
    raw = parse_id(text)
    if raw is None:
        raise refuse("VALIDATION_ERROR", "This is not a UUID.", path=path)
    return format_id(raw)
