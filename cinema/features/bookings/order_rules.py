"""Links to guests' bookings, stored as digests. Pure except for new tokens."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from cinema.features.accounts.link_rules import TOKEN_BYTES, MailLink, digest_of_link

ORDER: Final = "order"


class OrderLinks:
    """Makes links to pages below `base_url`, which is a setting: a request cannot choose it.

    The token stands after `#`: browsers do not send that part to any server.
    """

    def __init__(self, base_url: str) -> None:
        self._base = base_url.rstrip("/")

    def page(self, booking_id: UUID) -> str:
        """The page of a booking, for whoever is signed in."""
        return f"{self._base}/bookings/{booking_id}"

    def make(self, booking_id: UUID) -> MailLink:
        """A new link to a booking, with a random token."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        url = f"{self._base}/orders/{booking_id}#token={token}"
        return MailLink(ORDER, digest_of_order(booking_id, token), url)


def digest_of_order(booking_id: UUID, token: str) -> bytes:
    """The digest that is stored instead of a token; it is different for each booking."""
    return digest_of_link(f"{ORDER}:{booking_id}", token)
