"""What the pages are told of the server that they come from."""

from __future__ import annotations

import msgspec


class DemoAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account to try; its password is public."""

    role: str
    email: str
    password: str


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """`demo_accounts` are empty in production; `demo_payment` says whether bookings may pay so.

    `stripe_key` is the publishable key for Stripe.js; null where the pages take no cards.
    """

    demo_accounts: tuple[DemoAccount, ...] = ()
    demo_payment: bool = False
    stripe_key: str | None = None
