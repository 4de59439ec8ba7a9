"""Mails as they leave: every template, and what clients may not do with them."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from importlib.resources import files
from typing import Any

import pytest

from cinema.features.messages.letters import SMS_CHARS, CannotWrite, Letters
from cinema.features.messages.off_links import OffLinks, address_digest
from cinema.features.messages.rules import BY_SMS, KINDS, LANGUAGES, OPTIONAL
from cinema.features.messages.words import spoken_amount, spoken_time
from cinema.storage.encryption import Cipher

AT = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
LINKS = OffLinks(Cipher([b"k" * 32]), "https://tickets.example.com/")
LETTERS = Letters("Kino Süd <no-reply@tickets.example.com>", LINKS)


def written(
    kind: str = "account_session_reused",
    language: str = "en",
    *,
    to: str = "ada@example.com",
    letters: Letters = LETTERS,
    **payload: Any,
) -> EmailMessage:
    """A mail as its recipient parses it."""
    mail = letters.write(
        kind,
        language,
        {**KINDS[kind].example, **payload},
        to=to,
        message_id="019a0c1e-7000-7000-8000-0000000000a4",
        at=AT,
    )
    parsed = message_from_bytes(mail.as_bytes(policy=policy.SMTP), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def parts(mail: EmailMessage) -> tuple[str, str]:
    """The text and the HTML."""
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    return text.get_content(), html.get_content()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_mail_in_each_language(kind: str, language: str) -> None:
    mail = written(kind, language)
    assert mail["Subject"]
    assert mail["Content-Language"] == language
    for part in parts(mail):
        assert "{{" not in part
        assert "{%" not in part
        for name, value in KINDS[kind].example.items():
            if name in {"role", "why"}:
                # Codes, which the texts put into words.
                continue
            shown = spoken_amount(spoken_time(value, language), language)
            if value.endswith("Z"):
                shown = value.replace("T", " ").removesuffix(":00Z")
            assert shown in part


def test_domain_of_the_recipient_is_in_ascii_for_every_mail_server() -> None:
    assert written(to="Ada@bücher.example")["To"] == "Ada@xn--bcher-kva.example"
    with pytest.raises(CannotWrite):
        written(to=f"ada@{'ü' * 64}.example")


def test_there_are_no_templates_of_other_kinds() -> None:
    folder = files("cinema.features.messages") / "templates"
    names = {path.name for path in folder.iterdir()}
    kinds = {f"{kind}.{language}.jinja" for kind in KINDS for language in LANGUAGES}
    assert names == kinds | {"page.jinja"}


@pytest.mark.parametrize("role", ["staff", "manager", "admin"])
def test_roles_have_names_that_people_use(role: str) -> None:
    names = {
        "staff": ("a member of staff", "im Kinopersonal"),
        "manager": ("a manager", "in der Kinoleitung"),
        "admin": ("an administrator", "in der Verwaltung"),
    }
    for language, name in zip(LANGUAGES, names[role], strict=True):
        for part in parts(written("account_invitation", language, role=role)):
            assert name in part


def test_long_words_and_links_break_and_colours_follow_the_reader() -> None:
    _, html = parts(written("account_password_reset"))
    for rule in ("overflow-wrap: anywhere", "word-break: break-all", "max-width: 560px"):
        assert rule in html
    assert '<span style="white-space: nowrap">2026-06-02 17:31 UTC</span>' in html
    assert "prefers-color-scheme: dark" in html
    assert '<meta charset="utf-8">' in html


def test_the_languages_differ() -> None:
    for kind in KINDS:
        english, german = (written(kind, language) for language in LANGUAGES)
        assert english["Subject"] != german["Subject"]
        assert parts(english)[0] != parts(german)[0]


def test_a_mail_has_the_headers_of_one_that_a_machine_sends() -> None:
    mail = written()
    assert mail["From"] == "Kino Süd <no-reply@tickets.example.com>"
    assert mail["To"] == "ada@example.com"
    assert mail["Date"].datetime == AT
    assert mail["Auto-Submitted"] == "auto-generated"
    own = "<019a0c1e-7000-7000-8000-0000000000a4@tickets.example.com>"
    assert mail["Message-ID"] == own == written()["Message-ID"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_can_be_turned_off_says_how_and_nothing_else_does(kind: str, language: str) -> None:
    mail = written(kind, language)
    texts = parts(mail)
    if kind not in OPTIONAL:
        assert mail["List-Unsubscribe"] is None
        assert mail["List-Unsubscribe-Post"] is None
        assert not any("/messages/off" in text for text in texts)
        return
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    call = mail["List-Unsubscribe"].strip("<>")
    base = "https://tickets.example.com/api/v1/messages/off?token="
    assert call.startswith(base)
    token = call.removeprefix(base)
    assert LINKS.read(token) == (kind, address_digest("ada@example.com"))
    page = f"https://tickets.example.com/messages/off#token={token}"
    assert all(text.count(page) == 1 for text in texts)
    without = written(kind, language, letters=Letters("no-reply@example.com"))
    assert without["List-Unsubscribe"] is None
    assert not any("/messages/off" in text for text in parts(without))


def test_the_header_of_a_long_link_is_one_that_programs_read() -> None:
    mail = LETTERS.write(
        *("booking_reminder", "en", KINDS["booking_reminder"].example),
        to=f"{'a' * 64}@{'b' * 60}.example.com",
        message_id="1",
        at=AT,
    )
    (line,) = [
        line
        for line in mail.as_bytes(policy=policy.SMTP).replace(b"\r\n ", b" ").split(b"\r\n")
        if line.startswith(b"List-Unsubscribe: ")
    ]
    assert b"=?" not in line
    assert line.count(b" ") == 1


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_to_telephones_is_short_and_one_line(kind: str, language: str) -> None:
    example = KINDS[kind].example
    if kind not in BY_SMS:
        with pytest.raises(CannotWrite):
            LETTERS.short(kind, language, example)
        return
    text = LETTERS.short(kind, language, example)
    assert len(text) <= 160
    for name in ("film", "cinema", "starts", "seats", "url"):
        assert example[name] in text
    assert LETTERS.short(kind, language, {**example, "film": "A\r\nB"}).isprintable()
    assert len(LETTERS.short(kind, language, {**example, "film": "A" * 999})) == SMS_CHARS


def test_names_are_text_in_html_and_no_headers() -> None:
    name = "<script>alert(1)</script>\r\nBcc: all@example.com"
    mail = written(first_name=name)
    text, html = parts(mail)
    assert "<script>" in text
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert mail["Bcc"] is None


def test_a_subject_is_one_line_whatever_is_in_it() -> None:
    class Naming(Letters):
        def _block(self, environment: Any, block: str, *rest: Any) -> str:  # type: ignore[override]
            return "Hello\r\nBcc: all@example.com\u2028!" if block == "subject" else "x\n"

    mail = written(letters=Naming("no-reply@example.com"))
    assert mail["Subject"] == "Hello Bcc: all@example.com !"
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    ("to", "kind", "payload"),
    [
        ("nobody", "account_session_reused", {}),
        ("ada@example.com\r\nBcc: all@example.com", "account_session_reused", {}),
        ("ada@example.com", "account_session_reused", {"at": "yesterday"}),
        ("ada@example.com", "account_session_reused", {"at": None}),
    ],
)
def test_what_cannot_be_a_mail_is_told_as_such(to: str, kind: str, payload: dict[str, Any]) -> None:
    with pytest.raises(CannotWrite):
        written(kind, to=to, **payload)


def test_a_value_that_is_missing_or_a_kind_without_templates_is_not_sent_half() -> None:
    for kind, language in [("account_verification", "en"), ("nonsense", "en")]:
        with pytest.raises(CannotWrite):
            LETTERS.write(kind, language, {}, to="ada@example.com", message_id="1", at=AT)
