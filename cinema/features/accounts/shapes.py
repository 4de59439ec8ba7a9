"""Accounts and sessions as clients see them, and the canonical form of an e-mail address."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from cinema.domain.limits_catalog import (
    EMAIL_CHARS_MAX,
    EMAIL_LOCAL_CHARS_MAX,
    PASSWORD_CHARS_MAX,
    PASSWORD_CHARS_MIN,
    SEARCH_CHARS,
    TOKEN_CHARS,
)
from cinema.domain.paging import PageQuery

# The form browsers accept (HTML Living Standard, "valid e-mail address"), with a dot in the domain.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ENCODED = "=?"
_EMAIL_KEY = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")

Name = Annotated[str, msgspec.Meta(max_length=100)]
MomentText = Annotated[
    str,
    msgspec.Meta(
        # Otherwise the query decoder would read a number as seconds since 1970.
        pattern=r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d",
        max_length=64,
        description="RFC 3339, with the offset from UTC.",
        examples=["2026-05-01T09:00:00Z"],
    ),
]
CinemaIds = Annotated[list[UUID], msgspec.Meta(max_length=200)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
LinkToken = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
AnyPassword = Annotated[str, msgspec.Meta(max_length=1000)]
Password = Annotated[
    str, msgspec.Meta(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX)
]


class User(msgspec.Struct, frozen=True, kw_only=True):
    """An account, without secrets; staff and managers have the cinemas where they work."""

    id: str
    email: str
    first_name: str
    last_name: str
    role: Literal["customer", "staff", "manager", "admin"]
    email_verified: bool
    created_at: datetime
    cinema_ids: list[UUID]


class RegisterInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The registration of a new customer."""

    email: Annotated[str, msgspec.Meta(max_length=EMAIL_CHARS_MAX + 32)]
    password: Password
    first_name: Name = ""
    last_name: Name = ""

    def meaning(self) -> object:
        """A registration without the password, of which no fast hash may be stored."""
        email = email_key(self.email) or self.email
        return email, self.first_name.strip(), self.last_name.strip()


class LoginInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credentials; lengths that a registration would refuse are simply wrong.

    `code` is a code of the authenticator or a recovery code, for accounts with an authenticator.
    """

    email: Annotated[str, msgspec.Meta(max_length=1000)]
    password: AnyPassword
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class PromoteInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new role, and for staff and managers their cinemas (which replace the former ones)."""

    role: Literal["customer", "staff", "manager", "admin"]
    cinema_ids: CinemaIds = []


class AddressInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An e-mail address, which may have an account or not."""

    email: Annotated[str, msgspec.Meta(max_length=EMAIL_CHARS_MAX + 32)]


class LinkInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of a link after `#token=`."""

    token: LinkToken


class ResetInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password, and the token of the link that allows it."""

    token: LinkToken
    new_password: Password


class ChangePasswordInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new password, and the one it replaces."""

    current_password: AnyPassword
    new_password: Password


class ChangeEmailInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new e-mail address, and the password of the account."""

    email: Annotated[str, msgspec.Meta(max_length=EMAIL_CHARS_MAX + 32)]
    password: AnyPassword


class AdminUser(User, frozen=True, kw_only=True):
    """An account as admins see it; `updated_by` is an account's id, or null for the server.

    `version` rises when an admin changes its role, its cinemas, or whether it is disabled.
    """

    version: int
    disabled: bool
    mfa_on: bool
    created_by: UUID | None
    updated_at: datetime | None
    updated_by: UUID | None


class UserQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which accounts: `q` is the beginning of an e-mail address, or a part of a name."""

    q: Annotated[str, msgspec.Meta(min_length=1, max_length=SEARCH_CHARS)] | None = None
    role: Literal["customer", "staff", "manager", "admin"] | None = None
    cinema_id: UUID | None = None


class UserPatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; `cinema_ids` replace the former ones."""

    disabled: bool | None = None
    cinema_ids: CinemaIds | None = None


class InvitationInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who gets an account, with which role, and for staff and managers at which cinemas."""

    email: Annotated[str, msgspec.Meta(max_length=EMAIL_CHARS_MAX + 32)]
    role: Literal["staff", "manager", "admin"]
    cinema_ids: CinemaIds = []


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that was sent; only the mail has its link."""

    email: str
    role: str
    cinema_ids: list[UUID]
    expires_at: datetime


class AcceptInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer of somebody who was invited."""

    token: LinkToken
    password: Password
    first_name: Name = ""
    last_name: Name = ""


class AuditQuery(
    PageQuery,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"since": "from", "until": "to"},
):
    """Which rows of the audit log; `from` is included, `to` is not."""

    actor: UUID | None = None
    target: UUID | None = None
    action: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    since: MomentText | None = None
    until: MomentText | None = None


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A change by somebody; without `actor_id` the server did it by itself."""

    id: UUID
    at: datetime
    actor_id: UUID | None
    action: str
    target_id: UUID | None
    before: dict[str, Any]
    after: dict[str, Any]
    request_id: str
    address: str


class ProfilePatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change; missing fields stay as they are."""

    first_name: Name | None = None
    last_name: Name | None = None
    language: Literal["en", "de"] | None = None


class DeleteInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password to delete the account, and a code if it has an authenticator."""

    password: AnyPassword
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Deletion(msgspec.Struct, frozen=True, kw_only=True):
    """When the account is erased, unless somebody signs in before."""

    erase_at: datetime


class ChallengeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of MFA_REQUIRED, and a code of the authenticator or a recovery code."""

    mfa_token: LinkToken
    code: Code


class TotpInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password to set up an authenticator.

    To replace one, also a `code` of it or a recovery code.
    """

    password: AnyPassword
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


class CodeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code of the authenticator."""

    code: Code


class FactorInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password, and a code of the authenticator or a recovery code."""

    password: AnyPassword
    code: Code


class Enrolment(msgspec.Struct, frozen=True, kw_only=True):
    """The secret to type into an authenticator, and the address to show it as a QR code."""

    secret: str
    otpauth_url: str


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes to use if the authenticator is lost, each once; they are shown only once."""

    recovery_codes: list[str]


class SecondFactorOff(msgspec.Struct, frozen=True, kw_only=True):
    """The account has no authenticator any more."""

    off: Literal[True] = True


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A person who buys without an account; `email` is the address of the first booking."""

    id: UUID
    role: Literal["guest"] = "guest"
    email: str | None = None
    expires_at: datetime


class GuestToken(msgspec.Struct, frozen=True, kw_only=True):
    """A guest with an access token; `expires_in` is in seconds. There is no refresh token."""

    guest: Guest
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  (a scheme, not a secret)
    expires_in: int


class ClaimInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The access token of a guest to claim too; without it only the e-mail address counts."""

    guest_token: Annotated[str, msgspec.Meta(min_length=1, max_length=TOKEN_CHARS)] | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """How many guests this request has claimed, and how many bookings they have."""

    guests: int
    bookings: int


class GuestEnded(msgspec.Struct, frozen=True, kw_only=True):
    """The guest has ended; its tokens are refused."""

    ended: Literal[True] = True


class MailRequested(msgspec.Struct, frozen=True, kw_only=True):
    """The request was accepted; a mail is sent if there is an account."""

    accepted: Literal[True] = True


class Authenticated(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a registration, a login or a refresh; lifetimes are in seconds.

    It has the refresh token only with `?transport=body`; otherwise a cookie has it.
    """

    user: User
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  (a scheme, not a secret)
    expires_in: int
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    refresh_expires_in: int | msgspec.UnsetType = msgspec.UNSET


class TransportQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the refresh token travels: in a cookie for browsers, in the body for other clients."""

    transport: Literal["cookie", "body"] = "cookie"


class RefreshInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The refresh token of a client without cookies."""

    refresh_token: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """An open session; `current` is the one that sent the request."""

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    current: bool


class SessionsEnded(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions have ended."""

    ended: int


class SignedIn(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of a sign-in or a refresh, however they are sent."""

    user: User
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_in: int


def stays() -> bool:
    """That a client has not left; for those that wait in any case."""
    return False


class Client(msgspec.Struct, frozen=True):
    """Where a request came from: the client's address and user agent, and the request's id.

    `has_left` says whether the client has hung up, so that nothing dear is done for nobody; None if
    it has closed its side, and may be gone.
    """

    address: str = ""
    agent: str = ""
    request_id: str = ""
    has_left: Callable[[], bool | None] = stays


def tidy_email(email: str) -> str:
    """An address as it is stored and shown, in NFKC: keyboards write characters differently."""
    return unicodedata.normalize("NFKC", email).strip()


def email_key(email: str) -> str | None:
    """The form in which an address is unique, or None if it is not an address.

    Upper and lower case are the same, also before the @: no mail host in use distinguishes them,
    and people do not either. A domain is compared in its ASCII form (IDNA). A domain that changes
    when it is converted to that form and back could be mistaken for another and is refused. So is
    a part before the @ that is not ASCII, or that mail programs read as encoded text (RFC 2047):
    no mail could be written to it, or another address would get it.
    """
    local, _, domain = tidy_email(email).lower().rpartition("@")
    if not domain.isascii():
        ascii_domain = _ascii_domain(domain)
        if ascii_domain is None:
            return None
        domain = ascii_domain
    key = f"{local}@{domain}"
    if len(key) > EMAIL_CHARS_MAX or len(local) > EMAIL_LOCAL_CHARS_MAX or _ENCODED in local:
        return None
    return key if _EMAIL_KEY.fullmatch(key) else None


def account_key(email: str) -> str:
    """The form by which login attempts are counted, also for a text that is not an address."""
    return email_key(email) or tidy_email(email).lower()


def _ascii_domain(domain: str) -> str | None:
    try:
        encoded = domain.encode("idna")
        return encoded.decode("ascii") if encoded.decode("idna") == domain else None
    except UnicodeError:
        return None
