"""A client that asks any of some nodes, again and again, until one of them knows."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import aiohttp
import msgspec

from tests.support.load import API, CLIENT_ERRORS

REST_S = 0.1
"""What it waits before it asks again."""


class Answer(msgspec.Struct, frozen=True):
    """What a node said: data, or the code and the details of a refusal."""

    status: int
    said: Any


class AnyNode:
    """Asks under one name, so what is asked happens once, however often nodes die meanwhile."""

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], draw: random.Random
    ) -> None:
        self.again = 0
        self.bugs: list[str] = []
        self._session = session
        self._urls = urls
        self._draw = draw

    async def ask(
        self,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str],
        *,
        first: str | None = None,
        named: bool = True,
    ) -> Answer:
        """The answer of a node that knows. `first` is the address of the one that is asked first.

        With `named` there is a key; scans have their nonce.
        """
        if named and method != "GET":
            key = uuid.UUID(int=self._draw.getrandbits(128)).hex
            headers = {**headers, "Idempotency-Key": key}
        url = first or self._draw.choice(self._urls)
        while True:
            with suppress(*CLIENT_ERRORS):
                address = url + API + path
                async with self._session.request(
                    method, address, json=body, headers=headers
                ) as reply:
                    told = msgspec.json.decode(await reply.read())
                if reply.status < 500:
                    if told["success"]:
                        return Answer(reply.status, told["data"])
                    return Answer(reply.status, (told["error"]["code"], told["error"]["details"]))
                if told["error"]["code"] == "INTERNAL":
                    self.bugs.append(f"{method} {path} was answered {told}")
            self.again += 1
            await asyncio.sleep(REST_S)
            url = self._draw.choice(self._urls)
