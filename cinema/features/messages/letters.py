"""Makes mails from messages: fills in the templates and sets the headers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import Policy
from email.utils import format_datetime, parseaddr
from typing import Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, pass_context
from jinja2.filters import do_mark_safe
from jinja2.runtime import Context

from cinema.features.messages.off_links import OffLinks, on_the_wire
from cinema.features.messages.rules import OPTIONAL
from cinema.features.messages.words import spoken_amount, spoken_time
from cinema.integrations.mail.headers import MAILS

SMS_CHARS: Final = 480
"""Three parts at most of a message whose letters do not fit into one."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")


class Enclosure(msgspec.Struct, frozen=True):
    """A file that comes with a mail; `media_type` without parameters."""

    name: str
    media_type: str
    content: bytes


class OnOneLine(str):
    """The value of `List-Unsubscribe`, which is not folded.

    The library would write so long a word as an encoded one, which no program takes for an address.
    """

    __slots__ = ()

    name = "List-Unsubscribe"

    def fold(self, *, policy: Policy) -> str:
        """The header as it is sent."""
        return f"{self.name}: {self}{policy.linesep}"


class CannotWrite(Exception):
    """A message cannot be made into a mail; trying again does not help."""


def moment(text: str) -> str:
    """A time that people of any language can read: `2026-06-01 17:31 UTC`."""
    at = datetime.fromisoformat(text)
    return f"{at:%Y-%m-%d %H:%M} UTC"


@pass_context
def _when(context: Context, text: str) -> str:
    return spoken_time(text, context["in_language"])


@pass_context
def _amount(context: Context, text: str) -> str:
    return spoken_amount(text, context["in_language"])


def _unbroken(text: str) -> str:
    """A moment in HTML, in which no line ends, as one might at a hyphen."""
    return do_mark_safe(f'<span style="white-space: nowrap">{moment(text)}</span>')


class Letters:
    """Writes mails from `sender`, an address with or without a name.

    A template is one file for each kind and language, with three blocks. Values in `html` are
    escaped. Mails that can be turned off say how, by `off_links`, and tell it programs of mail too.
    """

    def __init__(self, sender: str, off_links: OffLinks | None = None) -> None:
        self._off_links = off_links
        name, address = parseaddr(sender)
        self._sender = Address(display_name=name, addr_spec=address)
        self._from = MAILS.header_factory("From", self._sender)
        loader = PackageLoader("cinema.features.messages")
        self._html = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
        self._text = Environment(
            loader=loader,
            autoescape=False,  # noqa: S701  (plain text and the subject; `html` has its own)
            undefined=StrictUndefined,
        )
        self._text.filters["moment"] = moment
        self._html.filters["moment"] = _unbroken
        for environment in (self._text, self._html):
            environment.filters["when"] = _when
            environment.filters["amount"] = _amount

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
            mail = EmailMessage(policy=MAILS)
            mail["From"] = self._from
            mail["To"] = Address(addr_spec=on_the_wire(to))
            mail["Subject"] = self._subject(kind, language, payload)
            mail["Date"] = format_datetime(at)
            mail["Message-ID"] = f"<{message_id}@{self._sender.domain}>"
            # Asks for no automatic answers, such as absence notices (RFC 3834).
            mail["Auto-Submitted"] = "auto-generated"
            if self._off_links is not None and kind in OPTIONAL:
                token = self._off_links.token(kind, to)
                # RFC 8058: a program of mail shows a button, and sends the second as a form.
                mail["List-Unsubscribe"] = OnOneLine(f"<{self._off_links.call(token)}>")
                mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
                payload = {**payload, "off_url": self._off_links.page(token)}
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

    def short(self, kind: str, language: str, payload: Mapping[str, Any]) -> str:
        """A message for a telephone, on one line. Raises `CannotWrite`."""
        try:
            text = self._block(self._text, "sms", kind, language, payload)
        except (TemplateError, KeyError, ValueError, TypeError) as error:
            raise CannotWrite(f"{type(error).__name__}: {error}") from error
        return _CONTROL.sub(" ", text).strip()[:SMS_CHARS]

    def _subject(self, kind: str, language: str, payload: Mapping[str, Any]) -> str:
        """The text on one line: a line break in a name would begin another header."""
        text = self._block(self._text, "subject", kind, language, payload)
        return _CONTROL.sub(" ", text).strip()

    @staticmethod
    def _block(
        environment: Environment, block: str, kind: str, language: str, payload: Mapping[str, Any]
    ) -> str:
        template = environment.get_template(f"{kind}.{language}.jinja")
        values = {**payload, "in_language": language}
        return "".join(template.blocks[block](template.new_context(values))).strip() + "\n"
