"""The caller of a request with a role, and the reasons why a token is refused."""

from __future__ import annotations

from typing import Final

import msgspec

CUSTOMER: Final = "customer"
STAFF: Final = "staff"
MANAGER: Final = "manager"
ADMIN: Final = "admin"
ROLES: Final = (CUSTOMER, STAFF, MANAGER, ADMIN)

INVALID_TOKEN: Final = "INVALID_TOKEN"  # noqa: S105  (a code, not a secret)
TOKEN_EXPIRED: Final = "TOKEN_EXPIRED"  # noqa: S105
TOKEN_REVOKED: Final = "TOKEN_REVOKED"  # noqa: S105


class Principal(msgspec.Struct, frozen=True):
    """The caller of a request; `expires_at_s` is the token's end in Unix time.

    `cinema_ids` are the cinemas that staff and managers belong to; `verified` says that the
    e-mail address is proven.
    """

    user_id: bytes
    role: str
    session_id: bytes
    expires_at_s: float
    cinema_ids: frozenset[bytes] = frozenset()
    verified: bool = False


class InvalidToken(Exception):
    """The token proves nothing; `code` says why in the client's terms."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
