"""Who may change what: roles, and managers for the cinemas they are for."""

from __future__ import annotations

from cinema.domain.accounts import ADMIN, MANAGER
from cinema.domain.ids import format_id, parse_id
from cinema.domain.rejections import refuse
from cinema.services.tokens import Principal
from cinema.storage.accounts import AccountsRepository


class Authority:
    """Refuses FORBIDDEN to whoever may not."""

    def __init__(self, accounts: AccountsRepository) -> None:
        self._accounts = accounts

    def require(self, principal: Principal, *roles: str) -> None:
        """One of these roles."""
        if principal.role not in roles:
            raise refuse("FORBIDDEN")

    async def require_manager(self, principal: Principal, cinema_id: str) -> None:
        """An admin, or a manager of this cinema."""
        self.require(principal, ADMIN, MANAGER)
        if principal.role == MANAGER and not await self._accounts.manages(
            format_id(principal.user_id), cinema_id
        ):
            raise refuse("FORBIDDEN", "You are not a manager of this cinema.")


def known_id(text: str, path: str) -> str:
    """The canonical form of an id in a request, or a VALIDATION_ERROR."""
    raw = parse_id(text)
    if raw is None:
        raise refuse("VALIDATION_ERROR", "This is no UUID.", path=path)
    return format_id(raw)
