"""A node with its control endpoint, and an operator who has the token."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from cinema.settings import Secret
from tests.e2e.api.house import Answer, House, Site, open_site

TOKEN = "operators-of-this-house-know-7f3a9c51"


class Desk:
    """What an operator can ask, and the house that customers see."""

    def __init__(self, site: Site, house: House, client: aiohttp.ClientSession, port: int) -> None:
        self.site = site
        self.house = house
        self.client = client
        self.port = port
        self.address = f"http://127.0.0.1:{port}"

    @property
    def node_id(self) -> str:
        """The node's own id."""
        return str(uuid.UUID(bytes=self.site.node.control.node_id))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = TOKEN,
        key: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """A request below `/control/v1/`."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if key is not None:
            sent["Idempotency-Key"] = key
        async with self.client.request(method, path, json=body, headers=sent) as reply:
            raw = await reply.read()
            return Answer(reply.status, reply.headers, msgspec.json.decode(raw) if raw else None)

    async def get(self, path: str) -> Any:
        """The data of a GET that must succeed."""
        return (await self.ask("GET", path)).data


@asynccontextmanager
async def open_desk(address: str, **settings: Any) -> AsyncIterator[Desk]:
    """A node on the database at `address`, with a house and an operator."""
    async with open_site(address, control_token=Secret(TOKEN), **settings) as site:
        port = await site.node.control.start()
        site.node.control.serves_on(site.port)
        house = House(site)
        await house.build()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}/control/v1/") as client:
            yield Desk(site, house, client, port)
