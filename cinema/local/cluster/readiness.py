"""Asks a node whether it can serve."""

from __future__ import annotations

import asyncio
from typing import Final

TIMEOUT_S: Final = 2.0

_STATUS: Final = b"HTTP/1.1 200 "


async def is_ready(host: str, port: int) -> bool:
    """Whether `/readyz` answers 200; not being there is an answer too."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _ask(host, port)
    except (OSError, TimeoutError):
        return False


async def _ask(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: supervisor\r\nConnection: close\r\n\r\n")
        return (await reader.readline()).startswith(_STATUS)
    finally:
        writer.transport.abort()
