"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature, Question
from cinema.features.messages import choice_routes
from cinema.features.messages import routes as message_routes
from cinema.features.messages.choice_service import ChoicesService
from cinema.features.messages.choice_store import SEALED as SEALED_PHONES
from cinema.features.messages.choice_store import ChoicesRepository
from cinema.features.messages.errors import ERRORS
from cinema.features.messages.jobs import PATIENT_AT_ONCE, Outgoing, PatientOutgoing
from cinema.features.messages.letters import Letters
from cinema.features.messages.metrics import MessageCounts
from cinema.features.messages.off_links import OffLinks
from cinema.features.messages.personal_store import MessageFacts
from cinema.features.messages.service import MessagesService
from cinema.features.messages.store import DUE_PATIENT, DUE_USUAL, MessagesRepository
from cinema.features.messages.store import SEALED as SEALED_MESSAGES
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.integrations.mail import MailSender
from cinema.integrations.mail.mailbox import MailboxFolder
from cinema.integrations.mail.smtp import SmtpSender
from cinema.integrations.sms.http import HttpSms
from cinema.settings import smtp_server


async def build(node: NodeParts, offered: Offered) -> Feature:
    settings, now = node.settings, node.now
    sends_sms = bool(settings.sms_api_url)
    messages = offered.add(
        MessagesRepository(
            node.pool, node.cipher, new_id=node.next_id, now=now, sends_sms=sends_sms
        )
    )
    sender: MailSender = MailboxFolder(settings.data_dir / "mailbox")
    if settings.smtp_url:
        sender = _smtp(settings.smtp_url)
    counts, choices = MessageCounts(), ChoicesRepository(node.pool, node.cipher, messages)
    links = OffLinks(node.cipher, node.base_url)
    letters = Letters(settings.mail_from, links)
    outgoing = offered.add(Outgoing(messages, choices, letters, sender, counts, now=now))

    def use_sms_token(token: str) -> None:
        if sends_sms:
            outgoing.send_short_by(HttpSms(settings.sms_api_url, token))

    use_sms_token(settings.sms_api_token)
    return Feature(
        routes=(
            *bound(message_routes.ROUTES, MessagesService(messages, letters)),
            *bound(
                choice_routes.ROUTES, ChoicesService(choices, links, sends_sms=sends_sms, now=now)
            ),
        ),
        metrics=(counts.families,),
        queues={"messages": outgoing, "receipts": PatientOutgoing(outgoing)},
        at_once={"receipts": PATIENT_AT_ONCE},
        questions={
            "messages": Question(DUE_USUAL, (now,)),
            "receipts": Question(DUE_PATIENT, (now,)),
        },
        personal=(MessageFacts(node.pool, choices).disclose,),
        sweeps={"messages": messages.forget},
        secrets={
            "SMTP_URL": lambda url: outgoing.send_by(_smtp(url)),
            "SMS_API_TOKEN": use_sms_token,
        },
    )


def _smtp(url: str) -> SmtpSender:
    """The way of mails by a server. Raises `ValueError`."""
    return SmtpSender(**smtp_server(url)._asdict())


TAGS: Final = {
    "Messages": "Mails, and their outcome.",
}

MESSAGES: Final = Listed(build, errors=ERRORS, tags=TAGS, sealed=(SEALED_MESSAGES, SEALED_PHONES))
