"""How many sockets one client address and one user may have open at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Final

from cinema.features.accounts.throttles import Throttles

SOCKETS_OF_ADDRESS: Final = "sockets_address"
SOCKETS_OF_USER: Final = "sockets_user"

RETRY_AFTER_S: Final = 10
"""`Retry-After` for a client; the server cannot know when one of its other sockets closes."""


class SocketPlaces:
    """The places that open sockets take, by address and by user."""

    def __init__(self, throttles: Throttles, *, per_address: int, per_user: int) -> None:
        self._throttles = throttles
        self._limits = {SOCKETS_OF_ADDRESS: per_address, SOCKETS_OF_USER: per_user}
        self._taken: Counter[tuple[str, Hashable]] = Counter()

    def __len__(self) -> int:
        return len(self._taken)

    def open(self, address_key: str) -> SocketPlace:
        """A place for one more socket of an address. Refuses RATE_LIMITED."""
        self.take(SOCKETS_OF_ADDRESS, address_key)
        return SocketPlace(self, address_key)

    def take(self, kind: str, who: Hashable) -> None:
        """Count one more. Refuses RATE_LIMITED."""
        if self._taken[kind, who] >= self._limits[kind]:
            raise self._throttles.refusal(kind, RETRY_AFTER_S)
        self._taken[kind, who] += 1

    def give_back(self, kind: str, who: Hashable) -> None:
        """Count one less."""
        self._taken[kind, who] -= 1
        if not self._taken[kind, who]:
            del self._taken[kind, who]


class SocketPlace:
    """The places that one socket takes: one of its address, one of its latest user."""

    def __init__(self, places: SocketPlaces, address_key: str) -> None:
        self._places = places
        self.address_key = address_key
        self._user: bytes | None = None

    def sign_in(self, user_id: bytes) -> None:
        """Count for a user from now on. Refuses RATE_LIMITED, and then nothing has changed."""
        if user_id == self._user:
            return
        self._places.take(SOCKETS_OF_USER, user_id)
        if self._user is not None:
            self._places.give_back(SOCKETS_OF_USER, self._user)
        self._user = user_id

    def close(self) -> None:
        """Give all of it back."""
        self._places.give_back(SOCKETS_OF_ADDRESS, self.address_key)
        if self._user is not None:
            self._places.give_back(SOCKETS_OF_USER, self._user)
