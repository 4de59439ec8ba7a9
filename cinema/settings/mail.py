"""The settings of mails: the server that sends them, and the sender."""

from __future__ import annotations

from collections.abc import Iterator
from email.utils import getaddresses
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

_PORTS: Final = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpServer(NamedTuple):
    """The server that sends mails; `smtps` is TLS from the start."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None


def smtp_server(url: str) -> SmtpServer:
    """The server of an address. The `ValueError` does not repeat it, because it has a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"has to begin with {', '.join(f'{name}://' for name in _PORTS)}")
    if not parts.hostname:
        raise ValueError("names no host")
    if parts.password and parts.scheme == "smtp" and parts.hostname not in _THIS_MACHINE:
        raise ValueError("would send its password without TLS; use smtp+starttls:// or smtps://")
    return SmtpServer(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def problems_of_sms(url: str, *, production: bool) -> Iterator[str]:
    """Problems of the settings of short messages."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        yield "SMS_API_URL is not an address"
        return
    if parts.scheme not in {"http", "https"} or not host:
        yield "SMS_API_URL has to be an address that begins with https://"
    elif production and parts.scheme == "http" and host not in _THIS_MACHINE:
        yield "SMS_API_URL would send telephone numbers without TLS; use https://"


def problems_of_mail(smtp_url: str, mail_from: str) -> Iterator[str]:
    """Problems of the settings of mails."""
    if smtp_url:
        try:
            smtp_server(smtp_url)
        except ValueError as problem:
            yield f"SMTP_URL {problem}"
    senders = [address for _, address in getaddresses([mail_from])]
    local, _, host = senders[0].rpartition("@")
    if len(senders) > 1 or not (local and host) or any(one in mail_from for one in "\r\n"):
        yield "MAIL_FROM has to be an address, such as `Cinema <no-reply@example.com>`"
