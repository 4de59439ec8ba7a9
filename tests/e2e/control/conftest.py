"""The node the tests of the control endpoint talk to: one a module."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest_asyncio

from tests.e2e.api.house import nothing_wrong
from tests.e2e.control.desk import Desk, open_desk

_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house_desk(postgres_server: str, template_database: str) -> AsyncIterator[Desk]:
    name = f"cinema_control_{os.getpid()}_{next(_numbers)}"
    server = await asyncpg.connect(postgres_server)
    try:
        await server.execute(
            f"create database {name} template {template_database} strategy file_copy"
        )
        address = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
        async with open_desk(address) as opened:
            yield opened
        await server.execute(f"drop database {name} with (force)")
    finally:
        await server.close()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(house_desk: Desk) -> AsyncIterator[Desk]:
    with nothing_wrong():
        yield house_desk
