"""Ways for a mail to leave: an SMTP server, or a folder where there is none."""

from __future__ import annotations

from email.message import EmailMessage
from typing import Protocol


class NotSent(Exception):
    """A mail was not taken, or nobody knows. `for_good`: it never will be."""

    def __init__(self, reason: str, *, for_good: bool = False) -> None:
        super().__init__(reason)
        self.for_good = for_good


class MailSender(Protocol):
    """Hands mails on."""

    async def send(self, mail: EmailMessage) -> None:
        """Hand one mail on, with its sender and recipient in its headers; raises `NotSent`.

        It may have been taken all the same, when the answer was lost: the mail then keeps its
        Message-ID when it is sent again.
        """
