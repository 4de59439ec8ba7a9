"""A mail server that keeps what it takes, and does what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"

Answer = Callable[[], Awaitable[str]]


async def _taken() -> str:
    return "250 taken"


class MailServer:
    """`mails` are those it has; `rcpt` and `data` say what it answers to these commands."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.arrived = asyncio.Event()
        self.rcpt: Answer = _taken
        self.data: Answer = _taken
        self.port = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.BaseTransport] = set()

    async def start(self) -> None:
        """Listen, on the port of before if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="mail.test", loop=loop), HOST, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and end those that are there."""
        if self._server is not None:
            self._server.close()
            for transport in self._connections:
                transport.close()
            await self._server.wait_closed()
            self._server = None

    def drop(self) -> None:
        """Break all connections."""
        for transport in self._connections:
            transport.abort()  # type: ignore[attr-defined]

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: Any
    ) -> Any:
        session.host_name = hostname
        self._connections.add(server.transport)
        return responses

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        answer = await self.rcpt()
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        answer = await self.data()
        if answer.startswith("250"):
            self.keep(envelope)
        return answer

    def keep(self, envelope: Envelope) -> None:
        """Take a mail."""
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        self.arrived.set()


@asynccontextmanager
async def mail_server() -> AsyncIterator[MailServer]:
    """One that listens."""
    server = MailServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
