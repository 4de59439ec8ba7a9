"""What people choose to be sent: with their account, or by the link in a mail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import cast
from uuid import UUID

from cinema.domain.principal import Principal
from cinema.domain.rejections import refuse
from cinema.features.messages.choice_store import Choices, ChoicesRepository
from cinema.features.messages.off_links import OffLinks, Turned
from cinema.features.messages.rules import BY_SMS, OPTIONAL
from cinema.features.messages.shapes import (
    ChoicesInput,
    KindChoice,
    MessageChoices,
    OptionalKind,
    OthersChoices,
    SmsKind,
)
from cinema.features.refusals import found


class ChoicesService:
    """Use cases of choices; each refuses with a code of `docs/errors.md`."""

    def __init__(
        self,
        choices: ChoicesRepository,
        links: OffLinks,
        *,
        sends_sms: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._choices = choices
        self._links = links
        self._by_sms = BY_SMS if sends_sms else frozenset[str]()
        self._now = now

    async def choices(self, principal: Principal) -> MessageChoices:
        """What the caller has chosen."""
        return self._shown(found(await self._choices.of_account(UUID(bytes=principal.user_id))))

    async def choices_of(self, user_id: UUID) -> OthersChoices:
        """What somebody else has chosen; for admins. Refuses NOT_FOUND."""
        shown = self._shown(found(await self._choices.of_account(user_id)))
        return OthersChoices(off=shown.off, sms=shown.sms, optional=shown.optional)

    async def choose(self, principal: Principal, wanted: ChoicesInput) -> MessageChoices:
        """Turn off what the caller names, have the telephone get what they name, nothing else."""
        if not self._by_sms.issuperset(wanted.sms):
            raise refuse("VALIDATION_ERROR", "This server sends no SMS.", path="$.sms")
        if wanted.sms and wanted.phone is None:
            raise refuse("VALIDATION_ERROR", "For SMS a number is needed.", path="$.phone")
        if wanted.phone is not None and not wanted.sms:
            raise refuse("VALIDATION_ERROR", "Say what to send to this number.", path="$.sms")
        chosen = Choices(off=wanted.off, sms=wanted.sms, phone=wanted.phone)
        user_id = UUID(bytes=principal.user_id)
        found(await self._choices.choose(user_id, chosen, self._now()) or None)
        return self._shown(chosen)

    async def turn_off(self, token: str) -> KindChoice:
        """Turn off what a link is about; it may be repeated. Refuses INVALID_LINK."""
        link = self._link(token)
        await self._choices.turn_off(link.address_digest, link.kind, self._now())
        return KindChoice(kind=cast(OptionalKind, link.kind), off=True)

    async def turn_on(self, token: str) -> KindChoice:
        """Take that back. Refuses INVALID_LINK."""
        link = self._link(token)
        await self._choices.turn_on(link.address_digest, link.kind)
        return KindChoice(kind=cast(OptionalKind, link.kind), off=False)

    def _link(self, token: str) -> Turned:
        link = self._links.read(token)
        if link is None or link.kind not in OPTIONAL:
            raise refuse("INVALID_LINK", "This link is not whole, or too old: use a newer mail's.")
        return link

    def _shown(self, chosen: Choices) -> MessageChoices:
        optional = cast(list[OptionalKind], sorted(OPTIONAL))
        by_sms = cast(list[SmsKind], sorted(self._by_sms))
        return MessageChoices(
            off=[one for one in optional if one in chosen.off],
            sms=[one for one in by_sms if one in chosen.sms],
            phone=chosen.phone,
            optional=optional,
            by_sms=by_sms,
        )
