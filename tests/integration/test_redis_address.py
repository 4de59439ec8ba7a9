"""Who we are to a real Redis changes while clients of it are in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as ConnectionLost

from cinema.local.redis_server import LocalRedis
from cinema.storage.membership.views import Beat, BeatsUnavailable
from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.channels import ChannelsUnavailable, RedisChannels
from cinema.storage.redis.client import redis_client
from cinema.storage.redis.heartbeats import RedisHeartbeats

PATIENCE_S = 20.0
OLD, NEW = "the password of last year", "the password of this year"


def signed_in(url: str, password: str) -> str:
    """The address with a user and a password."""
    who = f"node:{password.replace(' ', '%20')}@"
    if url.startswith("unix://"):
        return url.replace("unix://", f"unix://{who}", 1)
    return url.replace("redis://", f"redis://{who}", 1)


@pytest.fixture
async def operator(own_redis: LocalRedis) -> AsyncIterator[Any]:
    """A Redis that knows `node` by the old password alone."""
    client = redis_client(own_redis.url, timeout_s=PATIENCE_S)
    await client.execute_command("ACL", "SETUSER", "node", "on", f">{OLD}", "~*", "&*", "+@all")
    yield client
    await client.aclose()


async def change_password(operator: Redis) -> None:
    """As for a leaked one: it is invalid at once, and nobody stays signed in."""
    await operator.execute_command("ACL", "SETUSER", "node", "resetpass", f">{NEW}")
    await operator.execute_command("CLIENT", "KILL", "USER", "node")


@pytest.fixture
def address(own_redis: LocalRedis, operator: Redis) -> RedisAddress:
    return RedisAddress(signed_in(own_redis.url, OLD))


async def test_new_connections_sign_in_with_the_new_password(
    own_redis: LocalRedis, operator: Redis, address: RedisAddress
) -> None:
    client = redis_client(address, timeout_s=PATIENCE_S)
    await client.set("a", "1")
    assert await client.execute_command("ACL", "WHOAMI") == b"node"
    await operator.execute_command("ACL", "SETUSER", "node", f">{NEW}")
    address.replace(signed_in(own_redis.url, NEW))
    assert await client.get("a") == b"1", "an open connection goes on"
    await change_password(operator)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                assert await client.get("a") == b"1"
            except ConnectionLost:
                continue  # That was the connection that was ended.
            else:
                break
    former = redis_client(signed_in(own_redis.url, OLD), timeout_s=PATIENCE_S)
    with pytest.raises(ConnectionLost, match="invalid username-password"):
        await former.get("a")
    for one in (client, former):
        await one.aclose()


async def test_nodes_beat_and_hear_again_after_the_change(
    own_redis: LocalRedis, operator: Redis, address: RedisAddress
) -> None:
    beats = RedisHeartbeats(address, timeout_s=PATIENCE_S)
    channels = RedisChannels(address, timeout_s=PATIENCE_S)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    ups: asyncio.Queue[bool] = asyncio.Queue()
    await channels.subscribe(b"news")
    listening = asyncio.ensure_future(
        channels.listen(lambda _, payload: heard.put_nowait(payload), ups.put_nowait)
    )
    beat = Beat(1, 1)
    async with asyncio.timeout(PATIENCE_S):
        assert await ups.get() is True
        await beats.beat(b"n" * 16, beat)
        await change_password(operator)
        assert await ups.get() is False
        with pytest.raises(BeatsUnavailable):
            await beats.beat(b"n" * 16, beat)
        address.replace(signed_in(own_redis.url, NEW))
        assert await ups.get() is True
        assert b"n" * 16 in await beats.beat(b"n" * 16, beat)
        while heard.empty():
            try:
                await channels.publish([(b"news", b"it works")])
            except ChannelsUnavailable:
                continue
            await asyncio.sleep(0)
        assert await heard.get() == b"it works"
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await channels.close()
    await beats.close()
