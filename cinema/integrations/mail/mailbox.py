"""Mails as files in a folder, where no mail server is set."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Final

from cinema.integrations.mail import NotSent

MAILS_KEPT: Final = 1000
"""Mails in the folder; the oldest go. Nobody looks at more, and a server that nobody tends would
fill the disk of its database."""

LOOKS_EACH: Final = 10
"""How often it is looked for old ones while as many mails come as are kept: a look takes as long as
many a mail."""

_OURS: Final = frozenset({".eml", ".part"})

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.@_-]")


class MailboxFolder:
    """Writes each mail as `ID.eml`, complete or not at all; a mail sent again is the same file.

    Other users of the machine must not read the files, because there are links in them. The latest
    `kept` stay, and up to a tenth more until the next look.
    """

    def __init__(self, folder: Path, *, kept: int = MAILS_KEPT) -> None:
        self._folder = folder
        self._kept = kept
        self._look_after = kept // LOOKS_EACH
        self._written = self._look_after

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
        # Mails are written by several threads. One that is not counted makes the look later by one.
        self._written += 1
        if self._written > self._look_after:
            self._written = 0
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Delete what is beyond the bound, with what killed processes have left unfinished."""
        with os.scandir(self._folder) as entries:
            names = [one.name for one in entries if Path(one.name).suffix in _OURS]
        if len(names) <= self._kept:
            return
        aged = []
        for name in names:
            # Another node may have deleted it meanwhile.
            with suppress(FileNotFoundError):
                aged.append(((self._folder / name).stat().st_mtime_ns, name))
        for _, name in sorted(aged)[: -self._kept]:
            (self._folder / name).unlink(missing_ok=True)
