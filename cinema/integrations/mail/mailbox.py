"""Mails as files in a folder, where no mail server is set."""

from __future__ import annotations

import asyncio
import os
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final

from cinema.integrations.mail import NotSent

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.@_-]")


class MailboxFolder:
    """Writes each mail as `ID.eml`, complete or not at all; a mail sent again is the same file.

    Other users of the machine must not read the files, because there are links in them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: EmailMessage) -> None:
        """See `MailSender.send`."""
        try:
            await asyncio.to_thread(self._write, mail)
        except OSError as error:
            raise NotSent(f"mailbox folder: {error.strerror}") from error

    def _write(self, mail: EmailMessage) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = _UNSAFE.sub("", str(mail["Message-ID"]).strip("<>"))
        path = self._folder / f"{name}.eml"
        part = path.with_suffix(f".{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(mail.as_bytes(policy=SMTP))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
