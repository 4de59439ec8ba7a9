"""The node most tests here talk to: one a module, with people and a cinema for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import pytest_asyncio

from tests.e2e.api.house import Clocks, House, Site, nothing_wrong, open_site

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(postgres_server: str, template_database: str) -> AsyncIterator[Site]:
    name = f"cinema_site_{os.getpid()}_{next(_numbers)}"
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(
            f"create database {name} template {template_database} strategy file_copy"
        )
        async with open_site(urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))) as it:
            yield it
        await server.execute(f"drop database {name} with (force)")
    finally:
        await server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def house(site: Site) -> AsyncIterator[House]:
    with nothing_wrong():
        house = House(site)
        await house.build()
        yield house
        await house.until(lambda: site.node.hub.socket_count == 0)


@pytest.fixture
def clocks() -> Clocks:
    """Clocks for a node."""
    return Clocks()
