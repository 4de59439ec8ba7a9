"""Which mails people turn off, with an account or by a link, on a real Postgres."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.messages.choice_service import ChoicesService
from cinema.features.messages.choice_store import Choices, ChoicesRepository
from cinema.features.messages.off_links import OffLinks, address_digest
from cinema.features.messages.rules import BY_SMS, OPTIONAL, TELEPHONE_SET
from cinema.features.messages.shapes import ChoicesInput
from cinema.features.messages.store import MessagesRepository
from cinema.storage.encryption import Cipher

pytestmark = pytest.mark.postgres

CIPHER = Cipher([b"k" * 32])
NOW = datetime(2026, 6, 1, 17, 31, tzinfo=UTC)
ADA, GONE = UUID(int=11), UUID(int=12)

_PEOPLE = """
insert into users (id, email, email_key, password_hash, created_at, deleted_at)
values ($1, 'Ada@Bücher.example', 'ada@xn--bcher-kva.example', 'none', now(), null),
    ($2, 'erased@invalid', 'erased@invalid', 'none', now(), now())"""


class Desk:
    """Choices of people, and links that some mails had."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self.pool = pool
        numbers = itertools.count(1)
        messages = MessagesRepository(
            pool, CIPHER, new_id=lambda: next(numbers).to_bytes(16, "big"), now=lambda: NOW
        )
        self.store = ChoicesRepository(pool, CIPHER, messages)
        self.links = OffLinks(CIPHER, "https://tickets.example")
        self.service = self.serving(sends_sms=True)

    def serving(self, *, sends_sms: bool) -> ChoicesService:
        """The service of a server that sends short messages, or none."""
        return ChoicesService(self.store, self.links, sends_sms=sends_sms, now=lambda: NOW)

    async def off(self, user_id: UUID = ADA) -> list[str]:
        return [*(await self.service.choices(principal(user_id))).off]

    async def choose(self, *kinds: Any) -> None:
        chosen = await self.service.choose(principal(), ChoicesInput(off=list(kinds)))
        assert sorted(chosen.off) == sorted(set(kinds))

    async def is_off(self, address: str, kind: str = "booking_reminder") -> bool:
        return await self.store.is_off(address_digest(address), kind)


def principal(user_id: UUID = ADA) -> Principal:
    return Principal(user_id.bytes, "customer", bytes(16), 0.0)


@pytest.fixture
async def desk(pool: asyncpg.Pool[asyncpg.Record]) -> Desk:
    await pool.execute(_PEOPLE, ADA, GONE)
    return Desk(pool)


async def test_who_has_chosen_nothing_gets_all_mails(desk: Desk) -> None:
    shown = await desk.service.choices(principal())
    assert (shown.off, shown.optional) == ([], sorted(OPTIONAL))
    assert (shown.sms, shown.phone, shown.by_sms) == ([], None, sorted(BY_SMS))


async def test_a_choice_takes_the_place_of_the_former_one(desk: Desk) -> None:
    await desk.choose("booking_reminder", "payment_due", "payment_due")
    assert await desk.is_off("ada@bücher.example")
    await desk.choose("payment_due", "waitlist_offer")
    assert await desk.off() == ["payment_due", "waitlist_offer"]
    assert not await desk.is_off("ada@bücher.example")
    await desk.choose()
    assert await desk.off() == []


async def test_a_link_turns_one_kind_off_and_on_for_whoever_has_the_address(desk: Desk) -> None:
    token = desk.links.token("booking_reminder", "ada@bücher.example")
    for _ in range(2):
        answer = await desk.service.turn_off(token)
        assert (answer.kind, answer.off) == ("booking_reminder", True)
    assert await desk.off() == ["booking_reminder"]
    guests = desk.links.token("booking_reminder", "eve@example.com")
    await desk.service.turn_off(guests)
    assert await desk.is_off("Eve@example.com")
    assert not await desk.is_off("Eve@example.com", "payment_due")
    answer = await desk.service.turn_on(guests)
    assert not answer.off
    assert not await desk.is_off("Eve@example.com")
    assert await desk.off() == ["booking_reminder"]


@pytest.mark.parametrize("kind", ["booking_receipt", "nonsense"])
async def test_a_link_for_what_cannot_be_turned_off_is_no_link(desk: Desk, kind: str) -> None:
    for token in (desk.links.token(kind, "ada@example.com"), "x"):
        for use in (desk.service.turn_off, desk.service.turn_on):
            with pytest.raises(Refused) as refused:
                await use(token)
            assert refused.value.rejection.code == "INVALID_LINK"
    assert await desk.pool.fetchval("select count(*) from messages_off") == 0


async def test_choices_go_along_with_a_new_address(desk: Desk) -> None:
    await desk.choose("booking_reminder", "payment_due")
    # Somebody had the address before, and did not want these.
    await desk.service.turn_off(desk.links.token("payment_due", "new@example.com"))
    await desk.pool.execute(
        "update users set email = 'new@example.com', email_key = 'new@example.com' where id = $1",
        ADA,
    )
    assert await desk.off() == ["booking_reminder", "payment_due"]
    assert not await desk.is_off("ada@bücher.example")
    await desk.pool.execute("update users set first_name = 'Ada' where id = $1", ADA)
    assert await desk.off() == ["booking_reminder", "payment_due"]


async def test_choices_go_when_the_account_is_erased(desk: Desk) -> None:
    await desk.choose("booking_reminder")
    await desk.pool.execute(
        "update users set email_key = 'erased-1@invalid', deleted_at = now() where id = $1", ADA
    )
    assert await desk.pool.fetchval("select count(*) from messages_off") == 0


async def test_an_account_that_is_gone_has_no_choices(desk: Desk) -> None:
    with pytest.raises(Refused) as refused:
        await desk.off(GONE)
    assert refused.value.rejection.code == "NOT_FOUND"
    with pytest.raises(Refused) as refused:
        await desk.service.choose(principal(GONE), ChoicesInput(off=["payment_due"]))
    assert refused.value.rejection.code == "NOT_FOUND"


async def test_a_number_is_kept_sealed_and_goes_with_the_last_wish_for_it(desk: Desk) -> None:
    wanted = ChoicesInput(off=[], sms=["booking_reminder"], phone="+4930123456")
    chosen = await desk.service.choose(principal(), wanted)
    assert (chosen.sms, chosen.phone) == (["booking_reminder"], "+4930123456")
    assert await desk.service.choices(principal()) == chosen
    assert b"30123456" not in await desk.pool.fetchval("select number from message_phones")
    address = "Ada@bücher.example"
    assert await desk.store.number_of(address, "booking_reminder") == "+4930123456"
    assert await desk.store.number_of(address, "waitlist_offer") is None
    assert await desk.store.number_of("eve@example.com", "booking_reminder") is None
    other = ChoicesInput(off=[], sms=["waitlist_offer"], phone="+4930999999")
    await desk.service.choose(principal(), other)
    assert await desk.store.number_of(address, "waitlist_offer") == "+4930999999"
    assert await desk.store.number_of(address, "booking_reminder") is None
    await desk.choose()
    assert await desk.pool.fetchval("select count(*) from message_phones") == 0


async def test_a_number_goes_when_the_account_is_erased(desk: Desk) -> None:
    wanted = ChoicesInput(off=[], sms=["booking_reminder"], phone="+4930123456")
    await desk.service.choose(principal(), wanted)
    await desk.pool.execute(
        "update users set email_key = 'erased-1@invalid', deleted_at = now() where id = $1", ADA
    )
    assert await desk.pool.fetchval("select count(*) from message_phones") == 0


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (ChoicesInput(off=[], sms=["booking_reminder"]), "$.phone"),
        (ChoicesInput(off=[], phone="+4930123456"), "$.sms"),
    ],
)
async def test_half_a_wish_is_none(desk: Desk, wanted: ChoicesInput, path: str) -> None:
    with pytest.raises(Refused) as refused:
        await desk.service.choose(principal(), wanted)
    assert refused.value.rejection.code == "VALIDATION_ERROR"
    assert refused.value.rejection.details == {"path": path}


async def test_a_server_without_short_messages_says_so(desk: Desk) -> None:
    service = desk.serving(sends_sms=False)
    assert (await service.choices(principal())).by_sms == []
    wanted = ChoicesInput(off=[], sms=["booking_reminder"], phone="+4930123456")
    with pytest.raises(Refused) as refused:
        await service.choose(principal(), wanted)
    assert refused.value.rejection.code == "VALIDATION_ERROR"


async def test_owner_of_an_account_is_told_of_another_telephone_once_a_day(desk: Desk) -> None:
    """Whoever has only a token, without the password, could read along else."""

    async def told(phone: str, *, days: int = 0) -> list[tuple[str, str]]:
        chosen = Choices(off=[], sms=["booking_reminder"], phone=phone)
        assert await desk.store.choose(ADA, chosen, NOW + timedelta(days=days))
        rows = await desk.pool.fetch("select kind, recipient from messages order by id")
        return [(row["kind"], row["recipient"]) for row in rows]

    assert await told("+4930123456") == [], "the address may be somebody else's"
    await desk.pool.execute("update users set email_verified = true")
    assert await told("+4930123456") == [], "it is the same one"
    mail = (TELEPHONE_SET, "Ada@Bücher.example")
    assert await told("+4930999999") == [mail]
    assert await told("+4930888888") == [mail]
    assert await told("+4930777777", days=1) == [mail, mail]


async def test_telephone_that_no_key_opens_any_more_counts_as_another(desk: Desk) -> None:
    await desk.pool.execute("update users set email_verified = true where id = $1", ADA)
    sealed = "insert into message_phones (user_id, number, kinds) values ($1, $2, $3)"
    await desk.pool.execute(sealed, ADA, b"of a key that is gone", ["booking_reminder"])
    chosen = Choices(off=[], sms=["booking_reminder"], phone="+4930123456")
    assert await desk.store.choose(ADA, chosen, NOW)
    assert await desk.pool.fetchval("select count(*) from messages") == 1
