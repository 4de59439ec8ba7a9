"""Bounds of exports, and the links to them. Pure except for new tokens."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from cinema.features.accounts.link_rules import TOKEN_BYTES, MailLink, digest_of_link

KIND: Final = "account_export"
"""The kind of the job."""

PURPOSE: Final = "export"

PIECE_BYTES: Final = 256 * 1024
"""Size of a piece that is sealed and stored together, and of what is in memory of a file."""

SIZE_LIMIT_BYTES: Final = 100 * 1024 * 1024
"""Largest file: a thousand times that of somebody who goes to the cinema every day. Postgres holds
it for a week."""

DOWNLOADS_AT_ONCE: Final = 4
"""Downloads of a node at a time; each one reads from Postgres."""

DOWNLOADS_PER_HOUR: Final = 30
"""How often one link may be used in an hour, by programs that check mails and by its owner."""


def export_link(base_url: str, export_id: UUID) -> MailLink:
    """A link to one export that nobody can guess; as in other links, the token is behind `#`."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    url = f"{base_url.rstrip('/')}/exports/{export_id}#token={token}"
    return MailLink(PURPOSE, digest_of(export_id, token), url)


def digest_of(export_id: UUID, token: str) -> bytes:
    """The digest that is stored instead of a token; it is different for each export."""
    return digest_of_link(f"{PURPOSE}:{export_id}", token)
