"""Examples of accounts, as they stand in the documentation."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, USER_ID

USER: Final[dict[str, Any]] = {
    "id": USER_ID,
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "role": "customer",
    "email_verified": False,
    "created_at": "2026-05-01T09:00:00Z",
}
CREDENTIALS: Final = {"email": "ada@example.com", "password": "correct horse battery"}
REGISTRATION: Final = {**CREDENTIALS, "first_name": "Ada", "last_name": "Lovelace"}
AUTHENTICATED: Final = {
    "user": USER,
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "token_type": "Bearer",
    "expires_in": 3600,
}
PROMOTION: Final = {"role": "manager", "cinema_ids": [CINEMA_ID]}
PROMOTED: Final = {**USER, "role": "manager"}
