"""The caller of a request with a role, and the reasons why a token is refused."""

from __future__ import annotations

from typing import Final

import msgspec

GUEST: Final = "guest"
CUSTOMER: Final = "customer"
STAFF: Final = "staff"
MANAGER: Final = "manager"
ADMIN: Final = "admin"
ROLES: Final = (CUSTOMER, STAFF, MANAGER, ADMIN)
"""The roles of accounts, each with more rights than the one before."""

ACCOUNTS: Final = frozenset(ROLES)
"""All roles of accounts, so everybody except guests."""

INVALID_TOKEN: Final = "INVALID_TOKEN"  # noqa: S105  (a code, not a secret)
TOKEN_EXPIRED: Final = "TOKEN_EXPIRED"  # noqa: S105
TOKEN_REVOKED: Final = "TOKEN_REVOKED"  # noqa: S105


class Principal(msgspec.Struct, frozen=True):
    """The caller of a request; `expires_at_s` is the token's end in Unix time.

    `cinema_ids` are the cinemas to which staff and managers belong; `verified` means that the
    e-mail address is verified. `guest_ids` are guests that the account has claimed: their holds
    and bookings keep the guest's id, and belong to the account too.
    """

    user_id: bytes
    role: str
    session_id: bytes
    expires_at_s: float
    cinema_ids: frozenset[bytes] = frozenset()
    verified: bool = False
    guest_ids: tuple[bytes, ...] = ()


class InvalidToken(Exception):
    """The token is not valid; `code` tells the client why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
