"""Permissions at cinemas: staff and managers at those they belong to, admins everywhere."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from cinema.domain.principal import ADMIN, MANAGER, STAFF, Principal
from cinema.domain.rejections import refuse

COUNTER_ROLES: Final = frozenset({STAFF, MANAGER, ADMIN})
"""Roles that serve customers; `serves` says at which cinema."""


def has_counter(principal: Principal) -> bool:
    """Whether the caller sells at the counter of any cinema, with the limits of a till."""
    return principal.role == ADMIN or (
        principal.role in COUNTER_ROLES and bool(principal.cinema_ids)
    )


def serves(principal: Principal, cinema_id: UUID | None) -> bool:
    """Whether the caller works at this cinema's counter; None is a cinema that was deleted."""
    if principal.role == ADMIN:
        return True
    return (
        cinema_id is not None
        and principal.role in COUNTER_ROLES
        and cinema_id.bytes in principal.cinema_ids
    )


def require_own_cinema(principal: Principal, cinema_id: UUID) -> None:
    """Require an admin, or somebody who belongs to this cinema; refuses FORBIDDEN to others.

    The route says which roles may call it at all.
    """
    if principal.role != ADMIN and cinema_id.bytes not in principal.cinema_ids:
        raise refuse("FORBIDDEN", "You are not a manager of this cinema.")


def own_cinemas(principal: Principal) -> list[UUID] | None:
    """The cinemas to which somebody belongs, in their order; None for an admin: all cinemas."""
    if principal.role == ADMIN:
        return None
    return [UUID(bytes=one) for one in sorted(principal.cinema_ids)]


def sight_of(principal: Principal) -> tuple[UUID | None, list[UUID]]:
    """Whose bookings the caller may see, None for all, and at which cinemas everybody's."""
    if principal.role == ADMIN:
        return None, []
    at_counter = principal.role in COUNTER_ROLES
    cinema_ids = sorted(principal.cinema_ids) if at_counter else []
    return UUID(bytes=principal.user_id), [UUID(bytes=one) for one in cinema_ids]
