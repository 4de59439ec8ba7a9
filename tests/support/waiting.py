"""How tests wait for what nobody tells them of."""

from __future__ import annotations

import asyncio

LOOK_EVERY_S = 0.01


async def look_again() -> None:
    """Pause before the next look: whatever is waited for needs the processor too."""
    await asyncio.sleep(LOOK_EVERY_S)
