"""Tickets in the wallets of telephones: each maker of wallets has a form of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

import msgspec


class PassContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket in a wallet shows.

    `serial` names the ticket for ever: a pass with the same one replaces the pass before. `code` is
    what the door reads, and `words` are the labels in the language of the holder.
    """

    serial: str
    code: str
    booking_code: str
    film: str
    cinema: str
    address: str
    screen: str
    seat: str
    ticket: str
    starts_at: datetime
    useless_from: datetime
    words: Mapping[str, str]


class WalletPasses(Protocol):
    """Makes passes of one kind of wallet.

    Another kind is a class with these members, and a route with its form.
    """

    def make(self, content: PassContent) -> bytes:
        """The file that a wallet takes."""
