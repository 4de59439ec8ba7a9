"""Administration of accounts on a real Postgres: roles, disabling, invitations, the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.passwords import PasswordHasher
from cinema.features.accounts.shapes import (
    AcceptInput,
    AuditQuery,
    InvitationInput,
    LoginInput,
    PromoteInput,
    SignedIn,
    UserPatch,
    UserQuery,
)
from cinema.features.accounts.user_store import Act, UsersRepository
from cinema.storage.database.transactions import Pool
from tests.integration.features.accounts_house import ADMIN, HERE, THERE, Clock, House, ann, refusal

pytestmark = pytest.mark.postgres

OTHER_ADMIN = Principal(b"o" * 16, "admin", b"o" * 16, 0.0)
LOGIN = LoginInput(email="ann@example.com", password="correct horse")
NOBODY = UUID(int=1)


@pytest.fixture
async def house(pool: Pool) -> AsyncIterator[House]:
    hasher = PasswordHasher(10)
    house = House(pool, Clock(), hasher)
    await house.add_admin()
    yield house
    hasher.close()


async def registered(house: House, **changes: str) -> SignedIn:
    return await house.accounts.register(ann(**changes), HERE)


def change(house: House, user_id: UUID | str, by: Principal = ADMIN, **patch: Any) -> Any:
    return house.users.change(by, UUID(str(user_id)), UserPatch(**patch), HERE)


def promote(house: House, user_id: UUID | str, by: Principal = ADMIN, **request: Any) -> Any:
    return house.users.promote(by, UUID(str(user_id)), PromoteInput(**request), HERE)


async def test_staff_and_managers_belong_to_cinemas_until_they_are_given_others(
    house: House,
) -> None:
    made = await registered(house)
    cinemas = [await house.add_cinema() for _ in range(2)]
    for role, own in (("staff", cinemas[:1]), ("manager", cinemas[1:]), ("customer", [])):
        promoted = await house.promote(made.user.id, role, *own)
        assert promoted.cinema_ids == own
        again = await house.accounts.login(LOGIN, HERE)
        assert again.user.cinema_ids == own
        principal = await house.admission.look_up(again.access_token)
        assert (principal.role, principal.cinema_ids) == (role, {one.bytes for one in own})


async def test_cinemas_change_without_another_role_and_count_at_once(house: House) -> None:
    made = await registered(house)
    first, second = [await house.add_cinema() for _ in range(2)]
    await house.promote(made.user.id, "staff", first)
    signed = await house.accounts.login(LOGIN, HERE)
    changed = await change(house, made.user.id, cinema_ids=[second])
    assert changed.cinema_ids == [second]
    assert changed.updated_by == UUID(bytes=ADMIN.user_id)
    principal = await house.admission.look_up(signed.access_token)
    assert principal.cinema_ids == {second.bytes}


async def test_who_is_neither_staff_nor_manager_has_no_cinemas(house: House) -> None:
    made = await registered(house)
    cinema_id = await house.add_cinema()
    assert await refusal(change(house, made.user.id, cinema_ids=[cinema_id])) == "VALIDATION_ERROR"
    assert (await change(house, made.user.id, cinema_ids=[])).cinema_ids == []
    for role in ("customer", "admin"):
        call = promote(house, made.user.id, role=role, cinema_ids=[cinema_id])
        assert await refusal(call) == "VALIDATION_ERROR"


async def test_cinema_or_account_that_is_unknown_is_refused(house: House) -> None:
    made = await registered(house)
    await house.verify(made.user.id)
    call = promote(house, made.user.id, role="manager", cinema_ids=[NOBODY])
    assert await refusal(call) == "UNKNOWN_REFERENCE"
    assert await refusal(promote(house, NOBODY, role="staff")) == "NOT_FOUND"
    assert await refusal(change(house, NOBODY, disabled=True)) == "NOT_FOUND"
    assert await refusal(house.users.user(NOBODY)) == "NOT_FOUND"
    assert (await house.users.user(UUID(made.user.id))).role == "customer"


@pytest.mark.parametrize("role", ["staff", "manager", "admin"])
async def test_whoever_opens_an_account_with_a_colleagues_address_is_not_promoted(
    house: House, role: str
) -> None:
    made = await registered(house)
    call = promote(house, made.user.id, role=role)
    assert await refusal(call) == "EMAIL_NOT_VERIFIED"
    assert (await house.users.user(UUID(made.user.id))).role == "customer"
    assert await house.lives(made.access_token)
    assert (await promote(house, made.user.id, role="customer")).role == "customer"
    await house.verify(made.user.id)
    assert (await promote(house, made.user.id, role=role)).role == role


async def test_disabled_account_is_out_everywhere_and_can_be_enabled_again(house: House) -> None:
    made = await registered(house)
    other = House(house.pool, house.clock, house.hasher)
    assert await other.lives(made.access_token)
    disabled = await change(house, made.user.id, disabled=True)
    assert disabled.disabled
    for node in (house, other):
        assert not await node.lives(made.access_token)
    assert await refusal(house.accounts.login(LOGIN, HERE)) == "INVALID_CREDENTIALS"
    assert await refusal(house.sessions.refresh(made.refresh_token, HERE)) == "UNAUTHENTICATED"
    assert not (await change(house, made.user.id, disabled=False)).disabled
    # What was signed in before stays out.
    assert not await house.lives(made.access_token)
    assert await house.accounts.login(LOGIN, HERE)


async def test_nobody_changes_their_own_role_or_disables_themselves(house: House) -> None:
    own = UUID(bytes=ADMIN.user_id)
    assert await refusal(promote(house, own, role="customer")) == "FORBIDDEN"
    assert await refusal(change(house, own, disabled=True)) == "FORBIDDEN"
    assert (await change(house, own, cinema_ids=[])).role == "admin"


@pytest.mark.parametrize("how", ["demote", "disable"])
async def test_of_two_admins_who_remove_each_other_at_once_one_is_left(
    house: House, how: str
) -> None:
    await house.add_admin(OTHER_ADMIN)
    one, other = UUID(bytes=ADMIN.user_id), UUID(bytes=OTHER_ADMIN.user_id)
    if how == "demote":
        calls = [
            promote(house, other, ADMIN, role="customer"),
            promote(house, one, OTHER_ADMIN, role="customer"),
        ]
    else:
        calls = [
            change(house, other, ADMIN, disabled=True),
            change(house, one, OTHER_ADMIN, disabled=True),
        ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    codes = [one.rejection.code for one in outcomes if isinstance(one, Refused)]
    assert codes == ["FORBIDDEN"]
    left = await house.pool.fetchval(
        "select count(*) from users where role = 'admin' and disabled_at is null"
    )
    assert left == 1


async def test_accounts_are_listed_newest_first_page_by_page(house: House) -> None:
    for number in range(5):
        house.clock.now_s += 1
        await registered(house, email=f"user{number}@example.com", first_name=f"Név{number}")
    seen: list[str] = []
    query: UserQuery | None = UserQuery(limit=2, role="customer")
    while query is not None:
        page = await house.users.users(query)
        seen += [one.email for one in page.items]
        cursor = page.next_cursor
        query = None if cursor is None else UserQuery(limit=2, role="customer", cursor=cursor)
    assert seen == [f"user{number}@example.com" for number in (4, 3, 2, 1, 0)]


async def test_accounts_are_found_by_address_name_role_and_cinema(house: House) -> None:
    made = await registered(house)
    await registered(house, email="bob@example.com", first_name="Roberta", last_name="Annan")
    cinema_id = await house.add_cinema()
    await house.promote(made.user.id, "manager", cinema_id)
    for query, found in (
        (UserQuery(q="ANN@exa"), ["Ann@Example.com"]),
        (UserQuery(q="Ann"), ["Ann@Example.com", "bob@example.com"]),
        (UserQuery(q="berta an"), ["bob@example.com"]),
        (UserQuery(q="xample.com"), []),
        (UserQuery(q="%"), []),
        (UserQuery(role="manager"), ["Ann@Example.com"]),
        (UserQuery(cinema_id=cinema_id), ["Ann@Example.com"]),
        (UserQuery(cinema_id=NOBODY), []),
    ):
        page = await house.users.users(query)
        assert sorted(one.email for one in page.items) == found, query


@pytest.mark.parametrize("cursor", ["x", "WzEsMl0", "WzFlMzAsIjEiXQ"])
async def test_cursor_that_is_not_ours_is_refused(house: House, cursor: str) -> None:
    assert await refusal(house.users.users(UserQuery(cursor=cursor))) == "VALIDATION_ERROR"


async def test_audit_log_says_who_did_what_to_whom(house: House) -> None:
    made = await registered(house)
    cinema_id = await house.add_cinema()
    await house.promote(made.user.id, "staff", cinema_id)
    house.clock.now_s += 60
    await change(house, made.user.id, disabled=True)
    page = await house.users.audit(AuditQuery())
    changed, promoted = page.items
    assert (promoted.action, changed.action) == ("role_change", "user_change")
    assert promoted.before == {"role": "customer", "disabled": False, "cinema_ids": []}
    assert promoted.after == {"role": "staff", "disabled": False, "cinema_ids": [str(cinema_id)]}
    assert changed.after["disabled"] is True
    for row in page.items:
        assert row.actor_id == UUID(bytes=ADMIN.user_id)
        assert row.target_id == UUID(made.user.id)
        assert (row.request_id, row.address) == (HERE.request_id, HERE.address)
    now = datetime.fromtimestamp(house.clock.now_s, UTC)
    for query, found in (
        (AuditQuery(actor=NOBODY), 0),
        (AuditQuery(actor=UUID(bytes=ADMIN.user_id)), 2),
        (AuditQuery(target=UUID(made.user.id)), 2),
        (AuditQuery(action="user_change"), 1),
        (AuditQuery(since=now.isoformat()), 1),
        (AuditQuery(until=now.isoformat()), 1),
        (AuditQuery(since=(now + timedelta(seconds=1)).isoformat()), 0),
    ):
        assert len((await house.users.audit(query)).items) == found, query
    first = await house.users.audit(AuditQuery(limit=1))
    second = await house.users.audit(AuditQuery(limit=1, cursor=first.next_cursor))
    assert [*first.items, *second.items] == [changed, promoted]
    assert second.next_cursor is None


@pytest.mark.parametrize(
    "moment",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z"],
)
async def test_time_that_is_none_in_utc_is_refused(house: House, moment: str) -> None:
    for query in (AuditQuery(since=moment), AuditQuery(until=moment)):
        assert await refusal(house.users.audit(query)) == "VALIDATION_ERROR"


async def test_refused_change_is_in_no_audit_log(house: House) -> None:
    made = await registered(house)
    await house.verify(made.user.id)
    await refusal(promote(house, made.user.id, role="manager", cinema_ids=[uuid4()]))
    assert await house.count("audit_log") == 0


def invite(house: House, email: str = "Grace@Example.com", **more: Any) -> Any:
    request = InvitationInput(**{"email": email, "role": "staff", **more})
    return house.invitations.invite(ADMIN, request, HERE)


def accept(house: House, token: str, password: str = "correct horse") -> Any:
    request = AcceptInput(token=token, password=password, first_name=" Grace ")
    return house.invitations.accept(request, THERE)


async def test_who_is_invited_makes_an_account_with_the_role_and_its_cinemas(
    house: House,
) -> None:
    cinema_id = await house.add_cinema()
    invited = await invite(house, cinema_ids=[cinema_id])
    assert invited.expires_at == datetime.fromtimestamp(house.clock.now_s, UTC) + timedelta(days=7)
    (letter,) = house.letters
    assert (letter.kind, letter.to) == ("account_invitation", "Grace@Example.com")
    assert letter.payload["url"].startswith("https://tickets.example/accept-invitation#token=")
    made = await accept(house, house.link("account_invitation"))
    assert (made.user.email, made.user.role) == ("Grace@Example.com", "staff")
    assert (made.user.first_name, made.user.email_verified) == ("Grace", True)
    principal = await house.admission.look_up(made.access_token)
    assert (principal.role, principal.cinema_ids) == ("staff", {cinema_id.bytes})
    assert await house.count("login_addresses") == 1
    account = await house.users.user(UUID(made.user.id))
    assert account.created_by == UUID(bytes=ADMIN.user_id)
    assert [row.action for row in (await house.users.audit(AuditQuery())).items] == [
        "invitation_accepted",
        "invitation",
    ]


async def test_invitation_is_good_once_for_seven_days_and_the_latest_alone(house: House) -> None:
    await invite(house)
    first = house.link("account_invitation")
    await invite(house, "grace@EXAMPLE.com", role="manager")
    second = house.link("account_invitation")
    assert await refusal(accept(house, first)) == "INVALID_LINK"
    house.clock.now_s += 7 * 86_400
    assert await refusal(accept(house, second)) == "INVALID_LINK"
    house.clock.now_s -= 1
    assert await refusal(accept(house, second, "password1")) == "VALIDATION_ERROR"
    outcomes = await asyncio.gather(
        *(accept(house, second) for _ in range(3)), return_exceptions=True
    )
    codes = [one.rejection.code for one in outcomes if isinstance(one, Refused)]
    assert codes == ["INVALID_LINK"] * 2


async def test_invitation_to_an_address_that_has_an_account_is_refused(house: House) -> None:
    await registered(house)
    assert await refusal(invite(house, "ANN@example.com")) == "EMAIL_TAKEN"
    await invite(house)
    token = house.link("account_invitation")
    await registered(house, email="grace@example.com")
    assert await refusal(accept(house, token)) == "EMAIL_TAKEN"
    # A refused one is good still: the address may become free.
    await house.pool.execute("delete from users where email_key = 'grace@example.com'")
    assert (await accept(house, token)).user.role == "staff"


async def test_invitation_is_checked_when_it_is_made(house: House) -> None:
    cinema_id = await house.add_cinema()
    for call, code in (
        (invite(house, "nowhere"), "VALIDATION_ERROR"),
        (invite(house, role="admin", cinema_ids=[cinema_id]), "VALIDATION_ERROR"),
        (invite(house, cinema_ids=[uuid4()]), "UNKNOWN_REFERENCE"),
    ):
        assert await refusal(call) == code
    assert await house.count("account_links") == 0
    await invite(house, cinema_ids=[cinema_id, cinema_id])


async def test_who_is_an_admin_no_more_invites_nobody(house: House) -> None:
    await house.pool.execute("update users set role = 'customer'")
    assert await refusal(invite(house)) == "FORBIDDEN"


async def test_cinema_that_is_gone_since_the_invitation_is_left_out(house: House) -> None:
    cinema_id = await house.add_cinema()
    await invite(house, cinema_ids=[cinema_id])
    await house.pool.execute("delete from cinemas")
    made = await accept(house, house.link("account_invitation"))
    assert (await house.users.user(UUID(made.user.id))).cinema_ids == []


async def test_account_that_is_disabled_right_away_is_not_signed_in(house: House) -> None:
    await invite(house)
    token = house.link("account_invitation")
    await house.pool.execute(
        "create function disable() returns trigger language plpgsql as"
        " $$ begin new.disabled_at = now(); return new; end $$;"
        " create trigger disable before insert on users for each row execute function disable()"
    )
    assert await refusal(accept(house, token)) == "INVALID_CREDENTIALS"


async def test_nobody_is_made_an_admin(house: House) -> None:
    act = Act(by=None, at=datetime.now(UTC), client=HERE, entry_id=bytes(16))
    assert await UsersRepository(house.pool).make_admin(NOBODY, act) is None
    assert await house.count("audit_log") == 0
