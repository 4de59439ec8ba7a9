"""Where Redis is, apart from who we are to it."""

from __future__ import annotations

import pytest

from cinema.storage.redis.address import RedisAddress


@pytest.mark.parametrize(
    ("url", "place", "who"),
    [
        ("redis://node:p%40ss@cache:6379/1", "redis://cache:6379/1", ("node", "p@ss")),
        ("rediss://:secret@cache/0?protocol=3", "rediss://cache/0?protocol=3", ("secret",)),
        ("redis://cache/?password=secret&db=2", "redis://cache/?db=2", ("secret",)),
        ("unix://node:secret@/run/redis.sock", "unix:///run/redis.sock", ("node", "secret")),
        ("unix:///run/a%20b.sock", "unix:///run/a%20b.sock", None),
    ],
)
def test_an_address_is_parted(url: str, place: str, who: tuple[str, ...] | None) -> None:
    address = RedisAddress(url)
    assert address.url == place
    assert bool(address) == (who is not None)
    if who is not None:
        assert address.get_credentials() == who


def test_user_and_password_change_and_nothing_else() -> None:
    address = RedisAddress("redis://cache/1")
    address.replace("redis://node:secret@cache/1")
    assert address.get_credentials() == ("node", "secret")
    for url in ("redis://node:other@elsewhere/1", "redis://node:other@cache/2", "", "text"):
        with pytest.raises(ValueError, match="only user and password"):
            address.replace(url)
    assert (address.url, address.get_credentials()) == ("redis://cache/1", ("node", "secret"))
