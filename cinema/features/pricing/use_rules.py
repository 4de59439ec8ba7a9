"""Who uses a promo code, and for what."""

from __future__ import annotations

from hashlib import blake2b
from uuid import UUID

import msgspec


class UseOfCode(msgspec.Struct, frozen=True, kw_only=True):
    """A use of a code by a booking."""

    promo_id: UUID
    booking_id: UUID


def customer_names(user_id: UUID, email_key: str | None) -> list[str]:
    """The names of one customer, of which any counts.

    An account and a guest with one address are one customer. The address is kept as a digest.
    """
    names = [f"id:{user_id}"]
    if email_key is not None:
        names.append(f"mail:{blake2b(email_key.encode(), digest_size=16).hexdigest()}")
    return names
