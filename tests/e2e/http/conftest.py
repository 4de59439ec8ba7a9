"""The edge most tests here talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from cinema.http.server import EdgeOptions
from tests.e2e.http.edge import BODY_LIMIT_BYTES, Server, serving


@pytest.fixture(params=[False, True], ids=["in_a_task", "taskless"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    options = EdgeOptions(
        body_limit_bytes=BODY_LIMIT_BYTES,
        request_timeout_s=0.2,
        allowed_origins=("https://tickets.example",),
    )
    async with serving(options, taskless=request.param) as running:
        yield running
