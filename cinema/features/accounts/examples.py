"""Examples of accounts, as the documentation shows them."""

from __future__ import annotations

from typing import Any, Final

from cinema.features.example_ids import CINEMA_ID, USER_ID

ADMIN_ID: Final = "019a0c1e-7000-7000-8000-0000000000a9"

USER: Final[dict[str, Any]] = {
    "id": USER_ID,
    "email": "ada@example.com",
    "first_name": "Ada",
    "last_name": "Lovelace",
    "role": "customer",
    "email_verified": False,
    "created_at": "2026-05-01T09:00:00Z",
    "cinema_ids": [],
}
CREDENTIALS: Final = {"email": "ada@example.com", "password": "correct horse battery"}
GUEST: Final[dict[str, Any]] = {
    "id": "019a0c1e-7000-7000-8000-0000000000d4",
    "role": "guest",
    "email": None,
    "expires_at": "2026-05-02T09:00:00Z",
}
GUEST_TOKEN: Final = {
    "guest": GUEST,
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "token_type": "Bearer",
    "expires_in": 86_400,
}
GUEST_ENDED: Final = {"ended": True}
CLAIM_INPUT: Final = {"guest_token": "eyJhbGciOiJIUzI1NiIs…"}
CLAIM: Final = {"guests": 1, "bookings": 2}
REGISTRATION: Final = {**CREDENTIALS, "first_name": "Ada", "last_name": "Lovelace"}
AUTHENTICATED: Final = {
    "user": USER,
    "access_token": "eyJhbGciOiJIUzI1NiIs…",
    "token_type": "Bearer",
    "expires_in": 900,
}
REFRESH: Final = {"refresh_token": "AZoMHnAAcACAAAAAAAAAtEmT…"}
REFRESHED: Final = {**AUTHENTICATED, **REFRESH, "refresh_expires_in": 604_800}
SESSION: Final[dict[str, Any]] = {
    "id": "019a0c1e-7000-7000-8000-0000000000b4",
    "created_at": "2026-05-01T09:00:00Z",
    "last_used_at": "2026-05-01T11:15:00Z",
    "expires_at": "2026-05-08T11:15:00Z",
    "address": "192.0.2.7",
    "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "current": True,
}
ENDED: Final = {"ended": 1}
ADDRESS: Final = {"email": "ada@example.com"}
MAIL_REQUESTED: Final = {"accepted": True}
LINK: Final = {"token": "qJ0m6YbVv0nO3sK1x8cQ2dLr7tZpWfUgHeA5iB9kNjM"}
RESET: Final = {**LINK, "new_password": "correct horse battery staple"}
PASSWORD_CHANGE: Final = {
    "current_password": "correct horse battery",
    "new_password": "correct horse battery staple",
}
VERIFIED_USER: Final = {**USER, "email_verified": True}
PROMOTION: Final = {"role": "manager", "cinema_ids": [CINEMA_ID]}
PROFILE: Final = {"first_name": "Augusta Ada", "language": "de"}
DELETE_ME: Final = {"password": CREDENTIALS["password"]}
DELETION: Final = {"erase_at": "2026-05-08T09:00:00Z"}
TOTP: Final = {"password": CREDENTIALS["password"]}
ENROLMENT: Final = {
    "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
    "otpauth_url": "otpauth://totp/cinema%3Aada%40example.com"
    "?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=cinema",
}
CODE: Final = {"code": "287082"}
CHALLENGE: Final = {"mfa_token": "W8sZ4cR2mXq0vHn5tYb7kLdE1fGa3jUoPi6wQeRtYuI", **CODE}
RECOVERY_CODES: Final = {"recovery_codes": ["MFRGGZDFMZTWQ2LKNNWG23TP", "NBSWY3DPEB3W64TMMQQGC3TE"]}
FACTOR: Final = {**TOTP, **CODE}
FACTOR_OFF: Final = {"off": True}
ADMIN_USER: Final[dict[str, Any]] = {
    **VERIFIED_USER,
    "version": 1,
    "disabled": False,
    "mfa_on": False,
    "cinema_ids": [],
    "created_by": None,
    "updated_at": None,
    "updated_by": None,
}
CHANGED: Final = {"version": 2, "updated_at": "2026-05-02T10:00:00Z", "updated_by": ADMIN_ID}
PROMOTED: Final = {**ADMIN_USER, **CHANGED, **PROMOTION}
DISABLED_USER: Final = {**ADMIN_USER, **CHANGED, "disabled": True}
INVITATION_INPUT: Final = {"email": "grace@example.com", **PROMOTION}
INVITATION: Final = {**INVITATION_INPUT, "expires_at": "2026-05-08T09:00:00Z"}
ACCEPTANCE: Final = {
    **LINK,
    "password": "correct horse battery",
    "first_name": "Grace",
    "last_name": "Hopper",
}
AUDIT_ROW: Final[dict[str, Any]] = {
    "id": "019a0c1e-7000-7000-8000-0000000000c4",
    "at": "2026-05-02T10:00:00Z",
    "actor_id": ADMIN_ID,
    "action": "role_change",
    "target_id": USER_ID,
    "before": {"role": "customer", "disabled": False, "cinema_ids": []},
    "after": {"role": "manager", "disabled": False, "cinema_ids": [CINEMA_ID]},
    "request_id": "8f2c0d1e7a6b5c4d3e2f1a0b",
    "address": "192.0.2.9",
}
