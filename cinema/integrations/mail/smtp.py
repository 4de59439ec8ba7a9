"""Mails over SMTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from cinema.integrations.mail import NotSent

SEND_TIMEOUT_S: Final = 30.0
"""For one mail, from connecting to the answer; for a slower server the attempt counts as failed."""


class SmtpSender:
    """Sends each mail over a connection of its own.

    `scheme` is `smtps` (TLS from the start), `smtp+starttls` or `smtp` (no TLS).
    """

    def __init__(
        self,
        *,
        scheme: str,
        host: str,
        port: int,
        user: str | None = None,
        password: str | None = None,
        timeout_s: float = SEND_TIMEOUT_S,
    ) -> None:
        self._scheme = scheme
        self._host = host
        self._port = port
        self._user = user
        self._password = password
        self._timeout_s = timeout_s

    async def send(self, mail: EmailMessage) -> None:
        """See `MailSender.send`."""
        client = aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._scheme == "smtps",
            start_tls=self._scheme == "smtp+starttls",
            timeout=self._timeout_s,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await client.connect()
                await client.send_message(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refused(error.recipients) from error
        except aiosmtplib.SMTPDataError as error:
            raise _refused([error]) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            # This is not about the mail: a later attempt may succeed, whatever the code is.
            raise NotSent(str(error) or type(error).__name__) from error
        finally:
            client.close()


def _refused(answers: Sequence[aiosmtplib.SMTPResponseException]) -> NotSent:
    """The server's answer about this mail: 4xx is temporary, 5xx is permanent."""
    reason = "; ".join(f"{answer.code} {answer.message}" for answer in answers)
    return NotSent(reason, for_good=all(answer.code >= 500 for answer in answers))
