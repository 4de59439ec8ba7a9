"""The Python client of docs/watch.md, run as written."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from cinema.features.watching.hub import STOPPING
from cinema.features.watching.socket import GOING_AWAY
from tests.e2e.api.house import PATIENCE_S, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENT = Path(__file__).parents[3] / "docs" / "watch.md"


async def test_python_client_of_the_document_follows_the_seats(house: House) -> None:
    found = re.search(r"```python\n(.+?)```", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    showtime_id = await house.showtime()
    address = f"ws://127.0.0.1:{house.port}/api/v1/showtimes/{showtime_id}/watch"
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", found[1], address, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert (await client.stdout.readline()).decode().endswith(", 0) {}\n")
            hold = (await house.hold("ada", showtime_id, "A1")).data
            line = (await client.stdout.readline()).decode()
            assert line == f"({hold['epoch']}, {hold['seq']}) {{'A1': 'held'}}\n"
            # The server says goodbye; the client comes back and goes on from where it was.
            for socket in house.node.hub.sockets():
                await socket.close(GOING_AWAY, STOPPING)
            await house.ask("ada", "DELETE", f"showtimes/{showtime_id}/holds/{hold['hold_id']}")
            assert (await client.stdout.readline()).decode().endswith(" {}\n")
    finally:
        client.kill()
        await client.wait()
