"""Ways to send a mail: an SMTP server, or a folder if there is none."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class NotSent(Exception):
    """A mail was not accepted, or that is unknown. `for_good`: it will never be accepted."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class MailSender(Protocol):
    """Hands mails on."""

    async def send(self, mail: EmailMessage) -> None:
        """Send one mail, with its sender and recipient in its headers; raises `NotSent`.

        If the answer was lost, the mail may have been accepted all the same. So it keeps its
        Message-ID when it is sent again.
        """
