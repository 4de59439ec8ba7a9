"""Ways to send a short message to a telephone."""

from __future__ import annotations

from typing import Protocol


class SmsSender(Protocol):
    """Hands short messages on."""

    async def send(self, number: str, text: str, message_id: str) -> None:
        """Send a text to a number in the form of E.164; raises `NotSent`, as for mails.

        If the answer was lost, it may have been accepted all the same. So it keeps its id when it
        is sent again.
        """
