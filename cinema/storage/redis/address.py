"""Where Redis is, and as whom we sign in: the latter may change while the server runs."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.credentials import CredentialProvider

_WHO: Final = frozenset({"username", "password"})


class RedisAddress(CredentialProvider):
    """The address for each new connection, without who we are; that is asked for at each.

    Connections that are open go on.
    """

    def __init__(self, url: str) -> None:
        self.url, self._who = _parted(url)

    def __bool__(self) -> bool:
        """Whether there is anything to sign in with: a client asks before it does."""
        return bool(self._who)

    def replace(self, url: str) -> None:
        """Sign in with the user and password of `url` from now on.

        Raises `ValueError`, and changes nothing, if it leads anywhere else: nodes with two Redis
        would take each other for dead.
        """
        place, who = _parted(url)
        if place != self.url:
            raise ValueError("only user and password may change while the server runs")
        self._who = who

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Password, or user and password, as the client asks for them."""
        user, password = self._who or ("", "")
        return (user, password) if user else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same."""
        return self.get_credentials()


def redis_address(url: str | RedisAddress) -> RedisAddress:
    """The address itself, or one that does not change."""
    return url if isinstance(url, RedisAddress) else RedisAddress(url)


def _parted(url: str) -> tuple[str, tuple[str, str] | None]:
    """An address without user and password; and these, if it has any."""
    parts = urlsplit(url)
    options = parse_qsl(parts.query)
    named = dict(options)
    user = unquote(parts.username or "") or named.get("username", "")
    password = unquote(parts.password or "") or named.get("password", "")
    host = parts.netloc.rpartition("@")[2]
    rest = urlencode([pair for pair in options if pair[0] not in _WHO])
    place = f"{parts.scheme}://{host}{parts.path}{'?' if rest else ''}{rest}"
    return place, (user, password) if user or password else None
