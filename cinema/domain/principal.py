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
"""Those that accounts have, each with more rights than the one before."""

ACCOUNTS: Final = frozenset(ROLES)
"""Everybody who is signed in to an account: all but guests."""

INVALID_TOKEN: Final = "INVALID_TOKEN"  # noqa: S105  (a code, not a secret)
TOKEN_EXPIRED: Final = "TOKEN_EXPIRED"  # noqa: S105
TOKEN_REVOKED: Final = "TOKEN_REVOKED"  # noqa: S105


class Principal(msgspec.Struct, frozen=True):
    """The caller of a request; `expires_at_s` is the token's end in Unix time.

    `cinema_ids` are the cinemas to which staff and managers belong; `verified` means that the
    e-mail address is verified. `guest_ids` are guests whose holds and bookings an account has
    claimed: they stay in those guests' names, and count as the account's.
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
