"""Links in mails: what each one is for, how long it is valid, and where it leads."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec

RESET: Final = "reset"
VERIFY: Final = "verify"
CHANGE: Final = "email_change"
UNDO: Final = "email_undo"
INVITATION: Final = "invitation"

PAGES: Final = {
    RESET: "reset-password",
    VERIFY: "verify-email",
    CHANGE: "verify-email",
    UNDO: "verify-email",
    INVITATION: "accept-invitation",
}
"""For each purpose the page below `PUBLIC_URL` that reads the token and posts it."""

TOKEN_BYTES: Final = 32

TOKEN_CHARS_MAX: Final = 128
"""Longer texts are not looked at; our tokens have 43 characters."""


class LinkTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long links are valid, seconds."""

    reset_s: int
    verify_s: int
    change_s: int
    undo_s: int
    invitation_s: int

    def end(self, purpose: str, now: datetime) -> datetime:
        """When a link that is made now becomes invalid."""
        lives_s = {
            RESET: self.reset_s,
            VERIFY: self.verify_s,
            CHANGE: self.change_s,
            UNDO: self.undo_s,
            INVITATION: self.invitation_s,
        }
        return now + timedelta(seconds=lives_s[purpose])


class MailLink(msgspec.Struct, frozen=True):
    """A link: the mail gets its address, the database its digest; its token is not stored."""

    purpose: str
    digest: bytes
    url: str


class Links:
    """Makes links below `base_url`, which is a setting: a request cannot choose where they lead.

    The token stands after `#`. Browsers do not send that part to servers, so it is in no log.
    """

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")

    def make(self, purpose: str) -> MailLink:
        """A link that nobody can guess."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        url = f"{self._base}/{PAGES[purpose]}#token={token}"
        return MailLink(purpose, digest_of_link(purpose, token), url)


def digest_of_link(purpose: str, token: str) -> bytes:
    """The digest that is stored instead of a token; it is different for each purpose."""
    text = f"{purpose}:{token[:TOKEN_CHARS_MAX]}"
    return hashlib.sha256(text.encode(errors="replace")).digest()
