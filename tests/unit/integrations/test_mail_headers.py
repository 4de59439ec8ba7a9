"""Mails whose headers were made before are the same mails."""

from __future__ import annotations

import random
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy, default

import pytest

from cinema.integrations.mail.headers import ALIKE, KEPT, MAILS

SUBJECTS = (
    "Your booking",
    "Grüße, 東京 und noch viel mehr, so dass es nicht auf eine Zeile passt: " + "Ö" * 60,
    "a very long subject that has to be folded somewhere " * 4,
)


def mail(policy: EmailPolicy, subject: str, file: str = "tickets.pdf") -> EmailMessage:
    made = EmailMessage(policy=policy)
    made["From"] = Address("Kino «Ö»", addr_spec="box@cinema.example")
    made["To"] = Address(addr_spec="ada@example.org")
    made["Subject"] = subject
    made["Auto-Submitted"] = "auto-generated"
    made["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    made.set_content("Grüße\n")
    made.add_alternative("<p>Grüße</p>\n", subtype="html")
    made["Content-Language"] = "de"
    made.add_attachment(b"\x00\xff" * 200, maintype="application", subtype="pdf", filename=file)
    return made


def sent(policy: EmailPolicy, subject: str, wire: EmailPolicy) -> bytes:
    random.seed(7)  # Boundaries between parts are random.
    return mail(policy, subject).as_bytes(policy=wire)


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("wire", [SMTP, default, SMTP.clone(utf8=True)])
def test_a_mail_is_the_same_whether_its_headers_are_known_or_not(
    subject: str, wire: EmailPolicy
) -> None:
    expected = sent(default, subject, wire)
    assert [sent(MAILS, subject, wire) for _ in range(3)] == [expected] * 3


def test_headers_that_many_mails_have_are_made_once() -> None:
    one, two = (mail(MAILS, "Your booking") for _ in range(2))
    for name in ("Auto-Submitted", "MIME-Version", "Content-Language"):
        assert name.lower() in ALIKE
        assert one[name] is two[name]
    assert one["Subject"] is not two["Subject"]
    assert one["Subject"] == two["Subject"]
    (first,), (second,) = (list(each.iter_attachments()) for each in (one, two))
    assert first["Content-Disposition"] is second["Content-Disposition"]
    other = mail(MAILS, "Your booking", file="other.pdf")
    (third,) = other.iter_attachments()
    assert third.get_filename() == "other.pdf"
    assert first.get_filename() == "tickets.pdf"


def test_what_is_kept_is_bounded() -> None:
    for number in range(2 * KEPT):
        made = EmailMessage(policy=MAILS)
        made[f"X-Header-{number}"] = "one"
        made["Content-Language"] = f"x-{number}"
        assert (made[f"X-Header-{number}"], made["Content-Language"]) == ("one", f"x-{number}")
    factory = MAILS.header_factory
    assert len(vars(factory)["_classes"]) <= KEPT
    assert vars(factory)["_known"].cache_info().currsize <= KEPT
