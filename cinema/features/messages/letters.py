"""Makes mails from messages: fills in the templates and sets the headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError
from jinja2.filters import do_mark_safe

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")


class Enclosure(msgspec.Struct, frozen=True):
    """A file that comes with a mail; `media_type` without parameters."""

    name: str
    media_type: str
    content: bytes


class CannotWrite(Exception):
    """A message cannot be made into a mail; trying again does not help."""


def moment(text: str) -> str:
    """A time that people of any language can read: `2026-06-01 17:31 UTC`."""
    at = datetime.fromisoformat(text)
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _on_the_wire(address: str) -> str:
    """An address as every mail server takes it: its domain in ASCII (IDNA). Raises `ValueError`."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.encode('idna').decode('ascii')}"


def _unbroken(text: str) -> str:
    """A moment in HTML, in which no line ends, as one might at a hyphen."""
    return do_mark_safe(f'<span style="white-space: nowrap">{moment(text)}</span>')


class Letters:
    """Writes mails from `sender`, an address with or without a name.

    A template is one file for each kind and language, with three blocks. Values in `html` are
    escaped.
    """

    def __init__(self, sender: str) -> None:
        name, address = parseaddr(sender)
        self._sender = Address(display_name=name, addr_spec=address)
        loader = PackageLoader("cinema.features.messages")
        self._html = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self._text = Environment(
            loader=loader,
            autoescape=False,  # noqa: S701  (plain text and the subject; `html` has its own)
            undefined=StrictUndefined,
        )
        self._text.filters["moment"] = moment
        self._html.filters["moment"] = _unbroken

    def write(
        self,
        kind: str,
        language: str,
        payload: Mapping[str, Any],
        *,
        to: str,
        message_id: str,
        at: datetime,
        enclosed: Sequence[Enclosure] = (),
    ) -> EmailMessage:
        """One mail; the same message has the same Message-ID each time. Raises `CannotWrite`."""
        try:
            mail = EmailMessage()
            mail["From"] = self._sender
            mail["To"] = Address(addr_spec=_on_the_wire(to))
            mail["Subject"] = self._subject(kind, language, payload)
            mail["Date"] = format_datetime(at)
            mail["Message-ID"] = f"<{message_id}@{self._sender.domain}>"
            # Asks for no automatic answers, such as absence notices (RFC 3834).
            mail["Auto-Submitted"] = "auto-generated"
            mail.set_content(self._block(self._text, "text", kind, language, payload))
            mail.add_alternative(
                self._block(self._html, "html", kind, language, payload), subtype="html"
            )
            mail["Content-Language"] = language
            for file in enclosed:
                kind_of, _, form = file.media_type.partition("/")
                mail.add_attachment(
                    file.content, maintype=kind_of, subtype=form, filename=file.name
                )
        except (TemplateError, ValueError, TypeError) as error:
            raise CannotWrite(f"{type(error).__name__}: {error}") from error
        return mail

    def _subject(self, kind: str, language: str, payload: Mapping[str, Any]) -> str:
        """The text on one line: a line break in a name would begin another header."""
        text = self._block(self._text, "subject", kind, language, payload)
        return _CONTROL.sub(" ", text).strip()

    @staticmethod
    def _block(
        environment: Environment, block: str, kind: str, language: str, payload: Mapping[str, Any]
    ) -> str:
        template = environment.get_template(f"{kind}.{language}.jinja")
        return "".join(template.blocks[block](template.new_context(dict(payload)))).strip() + "\n"
