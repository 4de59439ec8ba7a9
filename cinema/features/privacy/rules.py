"""What bounds exports, and the link that leads to one. Pure but for the randomness of links."""

from __future__ import annotations

import secrets
from typing import Final
from uuid import UUID

from cinema.features.accounts.link_rules import TOKEN_BYTES, Link, digest_of_link

KIND: Final = "account_export"
"""The kind of the job."""

PURPOSE: Final = "export"

PIECE_BYTES: Final = 256 * 1024
"""What is sealed and stored together, and in memory of a file at a time."""

SIZE_LIMIT_BYTES: Final = 100 * 1024 * 1024
"""Largest file: a thousand times that of somebody who goes to the cinema every day. Postgres holds
it for a week."""

DOWNLOADS_AT_ONCE: Final = 4
"""Files that a node hands out together: each keeps reading from Postgres."""

DOWNLOADS_PER_HOUR: Final = 30
"""How often one link may be used in an hour: programs that look into mails, and then its owner."""


def export_link(base_url: str, export_id: UUID) -> Link:
    """A link to one export that nobody can guess; as in other links, the token is behind `#`."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    url = f"{base_url.rstrip('/')}/exports/{export_id}#token={token}"
    return Link(PURPOSE, digest_of(export_id, token), url)


def digest_of(export_id: UUID, token: str) -> bytes:
    """What is stored of a token; the same token means nothing for another export."""
    return digest_of_link(f"{PURPOSE}:{export_id}", token)
