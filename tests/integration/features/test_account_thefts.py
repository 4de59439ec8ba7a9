"""Ways to keep a stolen account, or a role that one has lost, on a real Postgres: none works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    AcceptInput,
    ChangeEmailInput,
    ChangePasswordInput,
    DeleteInput,
    FactorInput,
    InvitationInput,
    LoginInput,
    PromoteInput,
    ResetInput,
    SignedIn,
    UserPatch,
)
from cinema.features.accounts.throttles import account_digest, pair_digest
from cinema.features.messages.choice_store import Choices, ChoicesRepository
from cinema.storage.database.transactions import Pool
from cinema.storage.encryption import Cipher
from tests.integration.features.accounts_house import ADMIN, HERE, THERE, Clock, House, ann, refusal
from tests.integration.features.factors_house import Phone, begin, enrolled

pytestmark = pytest.mark.postgres

OWNER = "ann@example.com"
OLD = "correct horse"
NEW = "battery staple"


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    house = House(pool, Clock(), hasher)
    await house.add_admin()
    yield house
    hasher.close()


async def registered(house: House, email: str = OWNER) -> SignedIn:
    return await house.accounts.register(ann(email=email), HERE)


async def principal_of(house: House, signed: SignedIn) -> Principal:
    return await house.admission.look_up(signed.access_token)


async def asked_for(house: House, signed: SignedIn, email: str) -> None:
    request = ChangeEmailInput(email=email, password=OLD)
    await house.credentials.change_email(await principal_of(house, signed), request, THERE)


async def use(house: House, token: str) -> str:
    return (await house.credentials.use_address_link(token, HERE)).email


async def changed_to(house: House, signed: SignedIn, email: str) -> str:
    """Change an address all the way; the token that undoes it."""
    await asked_for(house, signed, email)
    await house.mails.round()
    await use(house, house.link("account_email_change"))
    return house.link("account_email_changed")


async def test_thief_who_undoes_a_change_of_their_own_leaves_the_owner_theirs(
    house: House,
) -> None:
    """Away from the owner's address, on to a third, and back: the owner's link is still good."""
    thief = await registered(house)
    owners = await changed_to(house, thief, "thief@example.com")
    house.clock.now_s += 1
    thiefs = await changed_to(house, thief, "third@example.com")
    assert await use(house, thiefs) == "thief@example.com"
    assert await use(house, owners) == OWNER


async def test_undoing_voids_what_was_done_after_it(house: House) -> None:
    thief = await registered(house)
    owners = await changed_to(house, thief, "thief@example.com")
    house.clock.now_s += 1
    thiefs = await changed_to(house, thief, "third@example.com")
    assert await use(house, owners) == OWNER
    assert await refusal(use(house, thiefs)) == "INVALID_LINK"


async def test_authenticator_that_the_thief_has_set_up_goes_with_the_undo(house: House) -> None:
    """The owner gets the account back with a mail and a new password, without the thief's phone."""
    thief = await registered(house)
    owners = await changed_to(house, thief, "thief@example.com")
    thiefs_phone, thiefs_codes = await enrolled(house, thief)
    assert await use(house, owners) == OWNER
    assert [one.kind for one in house.letters[-2:]] == [
        "account_second_factor_off",
        "account_password_reset",
    ]
    await new_password(house)
    owner = await house.accounts.login(LoginInput(email=OWNER, password=NEW), HERE)
    assert owner.user.email == OWNER
    assert await house.count("totp_factors") == 0
    row = await house.pool.fetchval("select after::text from audit_log where action = 'email_undo'")
    assert row == '{"ended": 1, "second_factor_off": true}'
    # Neither a code nor a recovery code of the thief does anything any more.
    phone, _ = await enrolled(house, owner, NEW)
    for code in (thiefs_phone.next_code(), thiefs_codes[0]):
        request = LoginInput(email=OWNER, password=NEW, code=code)
        assert await refusal(house.accounts.login(request, THERE)) == "INVALID_CREDENTIALS"
    request = LoginInput(email=OWNER, password=NEW, code=phone.next_code())
    assert await house.accounts.login(request, HERE)


async def forgotten(house: House) -> None:
    await house.credentials.forgot_password(OWNER, HERE)
    await house.mails.round()


async def with_telephone(house: House, signed: SignedIn) -> None:
    chosen = Choices(off=[], sms=["booking_reminder"], phone="+4930123456")
    choices = ChoicesRepository(house.pool, Cipher([b"e" * 32]))
    assert await choices.choose(UUID(signed.user.id), chosen, datetime.now(UTC))


async def test_telephone_of_the_thief_goes_with_the_undo(house: House) -> None:
    """Otherwise it would still be told of the owner's bookings."""
    thief = await registered(house)
    owners = await changed_to(house, thief, "thief@example.com")
    await with_telephone(house, thief)
    assert await use(house, owners) == OWNER
    assert await house.count("message_phones") == 0


async def test_telephone_of_a_stranger_goes_when_the_owner_of_the_address_comes(
    house: House,
) -> None:
    await with_telephone(house, await registered(house))
    await forgotten(house)
    await new_password(house)
    assert await house.count("message_phones") == 0


async def test_telephone_of_an_owner_who_forgot_the_password_stays(house: House) -> None:
    signed = await registered(house)
    await use(house, house.link("account_verification"))
    await with_telephone(house, signed)
    await forgotten(house)
    await new_password(house)
    assert await house.count("message_phones") == 1


async def test_account_that_the_thief_deletes_stays_when_its_owner_undoes_the_change(
    house: House,
) -> None:
    """The owner may read the mails after a week, and sign in with a new password after that."""
    thief = await registered(house)
    owners = await changed_to(house, thief, "thief@example.com")
    request = DeleteInput(password=OLD)
    await house.profile.delete(await principal_of(house, thief), request, HERE)
    assert await use(house, owners) == OWNER
    much_later = datetime.fromtimestamp(house.clock.now_s, UTC) + timedelta(days=8)
    assert await house.erasure.erase_due(much_later, 10) == 0


async def test_owner_of_an_address_gets_in_whatever_a_stranger_has_set_up_with_it(
    house: House,
) -> None:
    """Somebody has opened an account with an address that they cannot read the mails of."""
    stranger = await registered(house)
    phone, codes = await enrolled(house, stranger)
    house.kinds()
    await house.credentials.forgot_password(OWNER, THERE)
    await house.mails.round()
    await new_password(house)
    assert house.kinds() == ["password_reset", "password_changed", "second_factor_off"]
    assert not await house.lives(stranger.access_token)
    owner = await house.accounts.login(LoginInput(email=OWNER, password=NEW), THERE)
    assert owner.user.email_verified
    assert await house.count("totp_factors") == 0
    actions = await house.pool.fetch("select action from audit_log order by at, id")
    assert {row["action"] for row in actions[-2:]} == {"password_reset", "second_factor_off"}
    await enrolled(house, owner, NEW)
    for code in (phone.next_code(), codes[0]):
        request = LoginInput(email=OWNER, password=NEW, code=code)
        assert await refusal(house.accounts.login(request, THERE)) == "INVALID_CREDENTIALS"


async def test_authenticator_of_a_verified_account_stays_when_its_password_is_reset(
    house: House,
) -> None:
    made = await registered(house)
    await use(house, house.link("account_verification"))
    await enrolled(house, made)
    await house.credentials.forgot_password(OWNER, THERE)
    await house.mails.round()
    await new_password(house)
    request = LoginInput(email=OWNER, password=NEW)
    assert await refusal(house.accounts.login(request, HERE)) == "MFA_REQUIRED"


async def new_password(house: House) -> None:
    token = house.link("account_password_reset")
    await house.credentials.reset_password(ResetInput(token=token, new_password=NEW), HERE)


async def test_addresses_of_a_thief_are_no_longer_known_once_the_password_is_new(
    house: House,
) -> None:
    """Whoever guesses from a known address is not stopped by the count of the account."""
    await registered(house)
    await house.accounts.login(LoginInput(email=OWNER, password=OLD), HERE)
    await house.accounts.login(LoginInput(email=OWNER, password=OLD), THERE)
    assert await house.count("login_addresses") == 2
    await forgotten(house)
    await new_password(house)
    account = account_digest(OWNER)
    rows = await house.pool.fetch("select account, address from login_addresses")
    assert [tuple(row) for row in rows] == [(account, pair_digest(account, HERE.address))]


async def test_what_the_owner_had_set_up_before_stays(house: House) -> None:
    """Else a mailbox that is read by somebody else would be a way around the second factor."""
    made = await registered(house)
    phone, codes = await enrolled(house, made)
    house.clock.now_s += 1
    undo = await changed_to(house, made, "new@example.com")
    assert await use(house, undo) == OWNER
    assert "second_factor_off" not in house.kinds()
    await house.credentials.forgot_password(OWNER, HERE)
    await house.mails.round()
    await new_password(house)
    for code in (codes[0], phone.next_code()):
        request = LoginInput(email=OWNER, password=NEW, code=code)
        assert await house.accounts.login(request, HERE)


async def test_phone_and_codes_with_which_the_thief_has_replaced_the_owners_go_too(
    house: House,
) -> None:
    thief = await registered(house)
    _, codes = await enrolled(house, thief)
    house.clock.now_s += 1
    owners = await changed_to(house, thief, "thief@example.com")
    principal = await principal_of(house, thief)
    thiefs = Phone(house, (await begin(house, principal, codes[0])).secret)
    await house.factors.confirm(principal, thiefs.next_code(), THERE)
    assert await use(house, owners) == OWNER
    assert await house.count("totp_factors") == 0


async def test_recovery_codes_that_the_thief_has_renewed_go_and_the_owners_phone_stays(
    house: House,
) -> None:
    thief = await registered(house)
    phone, codes = await enrolled(house, thief)
    house.clock.now_s += 1
    owners = await changed_to(house, thief, "thief@example.com")
    principal = await principal_of(house, thief)
    request = FactorInput(password=OLD, code=codes[0])
    stolen = (await house.factors.renew_recovery(principal, request, THERE)).recovery_codes
    begun = await begin(house, principal, stolen[1])
    assert await use(house, owners) == OWNER
    await house.credentials.forgot_password(OWNER, HERE)
    await house.mails.round()
    await new_password(house)
    login = LoginInput(email=OWNER, password=NEW, code=stolen[0])
    assert await refusal(house.accounts.login(login, HERE)) == "INVALID_CREDENTIALS"
    verify = house.factors.confirm(principal, Phone(house, begun.secret).code(), THERE)
    assert await refusal(verify) == "MFA_ALREADY_ON"
    login = LoginInput(email=OWNER, password=NEW, code=phone.next_code())
    assert await house.accounts.login(login, HERE)


async def test_registration_while_an_address_changes_does_not_take_it(house: House) -> None:
    """The address is free only once it is reserved for whoever may take it back."""
    thief = await registered(house)
    async with house.pool.acquire() as changing:
        change = changing.transaction()
        await change.start()
        await changing.execute(
            "update users set email = 'm@x.de', email_key = 'm@x.de' where id = $1",
            UUID(thief.user.id),
        )
        await reserve(changing, house, thief)
        registering = asyncio.create_task(registered(house))
        await waits_for_a_lock(house)
        await change.commit()
    with pytest.raises(Refused) as caught:
        await registering
    assert caught.value.rejection.code == "EMAIL_TAKEN"


async def test_address_that_can_be_taken_back_is_given_to_nobody(house: House) -> None:
    """Neither to whoever changes to it, nor to whoever was invited to it."""
    made = await registered(house)
    other = await registered(house, "bob@example.com")
    await invited(house)
    await changed_to(house, made, "new@example.com")
    assert await refusal(accept(house, house.link("account_invitation"))) == "EMAIL_TAKEN"
    await asked_for(house, other, OWNER)
    house.letters.clear()
    await house.mails.round()
    assert house.letters == []


async def test_link_to_an_address_that_is_reserved_since_is_void(house: House) -> None:
    made = await registered(house)
    other = await registered(house, "bob@example.com")
    await asked_for(house, other, "free@example.com")
    await house.mails.round()
    bobs = house.link("account_email_change")
    async with house.pool.acquire() as running:
        await reserve(running, house, made, "free@example.com")
    assert await refusal(use(house, bobs)) == "INVALID_LINK"


async def reserve(
    running: Any, house: House, made: SignedIn, email: str = OWNER, purpose: str = "email_undo"
) -> None:
    """Write down a link that gives an address to an account."""
    now = datetime.fromtimestamp(house.clock.now_s, UTC)
    await running.execute(
        "insert into account_links"
        " (digest, purpose, user_id, email, email_key, created_at, expires_at)"
        " values (sha256($1::text::bytea), $5, $2, $1, $1, $3, $4)",
        email,
        UUID(made.user.id),
        now,
        now + timedelta(days=7),
        purpose,
    )


async def test_change_of_address_asked_for_with_the_old_password_ends_with_it(
    house: House,
) -> None:
    """The mail is prepared after the answer: by then another password may be in force."""
    thief = await registered(house)
    await asked_for(house, thief, "thief@example.com")
    request = ChangePasswordInput(current_password=OLD, new_password=NEW)
    owner = await house.accounts.login(LoginInput(email=OWNER, password=OLD), HERE)
    await house.credentials.change_password(await principal_of(house, owner), request, HERE)
    house.letters.clear()
    await house.mails.round()
    assert house.kinds() == []


async def test_change_of_address_is_asked_for_in_vain_while_the_password_changes(
    house: House,
) -> None:
    """The password was right when it was compared, and is another when that is written down."""
    thief = await registered(house)
    async with house.pool.acquire() as changing:
        change = changing.transaction()
        await change.start()
        await changing.execute("update users set password_version = password_version + 1")
        asking = asyncio.create_task(asked_for(house, thief, "thief@example.com"))
        await waits_for_a_lock(house)
        await change.commit()
    await asking
    assert await house.count("link_requests") == 0


async def test_link_that_is_prepared_while_the_password_changes_is_void(house: House) -> None:
    thief = await registered(house)
    owner = await house.accounts.login(LoginInput(email=OWNER, password=OLD), HERE)
    await asked_for(house, thief, "thief@example.com")
    async with house.pool.acquire() as preparing:
        prepare = preparing.transaction()
        await prepare.start()
        await preparing.execute("delete from link_requests")
        request = ChangePasswordInput(current_password=OLD, new_password=NEW)
        changing = asyncio.create_task(
            house.credentials.change_password(await principal_of(house, owner), request, HERE)
        )
        await waits_for_a_lock(house)
        await reserve(preparing, house, thief, "thief@example.com", purpose="email_change")
        await prepare.commit()
    await changing
    assert (
        await house.pool.fetchval(
            "select count(*) from account_links where used_at is null and purpose = 'email_change'"
        )
        == 0
    )


async def invited(house: House, by: Principal = ADMIN, email: str = OWNER) -> None:
    request = InvitationInput(email=email, role="admin")
    # An address with an account gets none: this one was invited before.
    await house.pool.execute(
        "update users set email_key = email_key || '.x' where email_key = $1", email
    )
    await house.invitations.invite(by, request, HERE)
    await house.pool.execute("update users set email_key = $1 where email_key = $1 || '.x'", email)


async def accept(house: House, token: str) -> SignedIn:
    return await house.invitations.accept(AcceptInput(token=token, password=NEW), THERE)


OTHER_ADMIN = Principal(b"o" * 16, "admin", b"o" * 16, 0.0)


@pytest.mark.parametrize("how", ["demoted", "disabled"])
async def test_invitations_of_an_admin_end_with_the_admin(house: House, how: str) -> None:
    """An admin who is thrown out has not left a door open for seven days."""
    await house.add_admin(OTHER_ADMIN)
    await invited(house, OTHER_ADMIN, "mallory@example.com")
    fallen = UUID(bytes=OTHER_ADMIN.user_id)
    if how == "demoted":
        await house.users.promote(ADMIN, fallen, PromoteInput(role="customer"), HERE)
    else:
        await house.users.change(ADMIN, fallen, UserPatch(disabled=True), HERE)
    assert await refusal(accept(house, house.link("account_invitation"))) == "INVALID_LINK"


async def waits_for_a_lock(house: House) -> None:
    async with asyncio.timeout(10):
        while not await house.pool.fetchval(  # noqa: ASYNC110  # nobody tells when
            "select exists (select from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock')"
        ):
            await asyncio.sleep(0)


async def test_link_that_is_void_by_the_time_of_its_use_does_nothing(house: House) -> None:
    now = datetime.fromtimestamp(house.clock.now_s, UTC)
    assert await house.links.use_address_link([bytes(32)], HERE, now) is None
