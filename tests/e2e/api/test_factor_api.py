"""Second factors over HTTP: set up, asked for, replaced, reset by an admin, taken off."""

from __future__ import annotations

import base64
import time
import uuid
from typing import Any

import pytest

from cinema.features.accounts.totp_rules import STEP_S, code_at
from tests.e2e.api.house import Answer, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "correct horse"
WRONG = {"reason": "INVALID_CODE"}


class Person:
    """Somebody with an account, and the phone and the recovery codes of it."""

    def __init__(self, house: House, email: str, signed: Any) -> None:
        self.house = house
        self.email = email
        self.user_id = str(signed["user"]["id"])
        self._token = str(signed["access_token"])
        self._secret = b""
        self._step = 0
        self.codes: list[str] = []

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"}
        return await self.house.ask(None, method, path, body, headers=headers)

    async def log_in(self, code: str = "") -> Answer:
        body = {"email": self.email, "password": PASSWORD, "code": code}
        return await self.house.ask(None, "POST", "auth/login", body)

    def code(self) -> str:
        """One that was not used yet: this step's or, if it was, the next one's."""
        self._step = max(self._step + 1, int(time.time()) // STEP_S)
        return code_at(self._secret, self._step)

    def scan(self, enrolment: Any) -> None:
        """Set the phone up."""
        self._secret, self._step = base64.b32decode(enrolment["secret"]), 0
        assert enrolment["secret"] in enrolment["otpauth_url"]

    async def verify(self) -> None:
        verified = await self.ask("POST", "auth/mfa/verify", {"code": self.code()})
        self.codes = verified.data["recovery_codes"]

    async def enrol(self) -> None:
        begun = await self.ask("POST", "auth/mfa/totp", {"password": PASSWORD})
        self.scan(begun.data)
        await self.verify()


async def registered(house: House) -> Person:
    email = f"{uuid.uuid4()}@example.com"
    made = await house.ask(None, "POST", "auth/register", {"email": email, "password": PASSWORD})
    return Person(house, email, made.data)


async def test_code_is_asked_for_once_an_authenticator_counts(house: House) -> None:
    ann = await registered(house)
    await ann.enrol()
    asked = await ann.log_in()
    assert asked.error == (401, "MFA_REQUIRED")
    assert asked.details["expires_in"] == 300
    body = {"mfa_token": asked.details["mfa_token"], "code": "000000"}
    wrong = await house.ask(None, "POST", "auth/mfa/login", body)
    assert (wrong.error, wrong.details) == ((401, "INVALID_CREDENTIALS"), WRONG)
    signed = await house.ask(None, "POST", "auth/mfa/login", {**body, "code": ann.code()})
    assert signed.data["user"]["id"] == ann.user_id
    assert (await ann.log_in(ann.codes[0])).status == 200
    wrong = await ann.log_in(ann.codes[0])
    assert (wrong.error, wrong.details) == ((401, "INVALID_CREDENTIALS"), WRONG)


async def test_phone_is_replaced_and_recovery_codes_are_renewed(house: House) -> None:
    ann = await registered(house)
    await ann.enrol()
    again = await ann.ask("POST", "auth/mfa/totp", {"password": PASSWORD})
    assert again.error == (409, "MFA_ALREADY_ON")
    old = ann.codes
    begun = await ann.ask("POST", "auth/mfa/totp", {"password": PASSWORD, "code": old[0]})
    ann.scan(begun.data)
    await ann.verify()
    assert (await ann.log_in(old[1])).details == WRONG
    proof = {"password": PASSWORD, "code": ann.codes[0]}
    renewed = await ann.ask("POST", "auth/mfa/recovery-codes", proof)
    assert (await ann.log_in(ann.codes[1])).details == WRONG
    assert (await ann.log_in(renewed.data["recovery_codes"][0])).status == 200
    kinds = await house.database.fetch(
        "select kind from messages where recipient = $1 and kind like '%factor%'"
        " or recipient = $1 and kind like '%recovery%'",
        ann.email,
    )
    assert sorted(row["kind"] for row in kinds) == [
        *["account_recovery_code_used"] * 3,
        "account_recovery_codes_renewed",
        "account_second_factor_on",
        "account_second_factor_replaced",
    ]


async def test_authenticator_is_taken_off_over_http(house: House) -> None:
    ann = await registered(house)
    await ann.enrol()
    off = await ann.ask("DELETE", "auth/mfa/totp", {"password": PASSWORD, "code": ann.codes[0]})
    assert off.data == {"off": True}
    assert (await ann.log_in()).status == 200


async def test_admin_resets_the_authenticator_of_somebody_else(house: House) -> None:
    ann = await registered(house)
    path = f"admin/users/{ann.user_id}"
    await ann.enrol()
    assert (await house.ask("admin", "GET", path)).data["mfa_on"] is True
    reset = await house.ask("admin", "POST", f"{path}/reset-mfa")
    assert (reset.data["id"], reset.data["mfa_on"]) == (ann.user_id, False)
    assert (await ann.ask("GET", "auth/me")).error == (401, "UNAUTHENTICATED")
    assert (await ann.log_in()).status == 200
    again = await house.ask("admin", "POST", f"{path}/reset-mfa")
    assert again.error == (409, "MFA_NOT_ON")
    own = f"admin/users/{house.people['admin']}/reset-mfa"
    assert (await house.ask("admin", "POST", own)).error == (403, "FORBIDDEN")
    log = await house.ask("admin", "GET", f"admin/audit?target={ann.user_id}")
    (row,) = [row for row in log.data if row["action"] == "second_factor_reset"]
    assert row["actor_id"] == house.people["admin"]


async def invite(house: House, token: str, email: str) -> None:
    """Write down an invitation whose link has that token."""
    await house.database.execute(
        "insert into account_links (digest, purpose, email, email_key, role, created_at,"
        " expires_at) values (sha256($1::text::bytea), 'invitation', $2, $2, 'staff', now(),"
        " now() + interval '1 day')",
        f"invitation:{token}",
        email,
    )


DISABLE = """
create function disable() returns trigger language plpgsql as $$ begin
    if new.email like 'disabled-%' then new.disabled_at = now(); end if;
    return new;
end $$;
create trigger disable before insert on users for each row execute function disable();
"""


async def test_account_that_is_disabled_before_its_first_session_gets_a_documented_answer(
    house: House,
) -> None:
    """As by an admin in that moment."""
    document = (await (await house.client.get("openapi.json")).json())["paths"]
    await house.database.execute(DISABLE)
    email = f"disabled-{uuid.uuid4()}@example.com"
    body = {"email": email, "password": PASSWORD}
    made = await house.ask(None, "POST", "auth/register", body)
    token = str(uuid.uuid4())
    await invite(house, token, f"disabled-{uuid.uuid4()}@example.com")
    accepted = {"token": token, "password": PASSWORD}
    taken = await house.ask(None, "POST", "auth/accept-invitation", accepted)
    await house.database.execute("drop trigger disable on users; drop function disable()")
    for answer, path in ((made, "register"), (taken, "accept-invitation")):
        assert answer.error == (401, "INVALID_CREDENTIALS")
        assert "401" in document[f"/api/v1/auth/{path}"]["post"]["responses"]


async def test_repeated_registration_of_a_disabled_account_is_another_request(
    house: House,
) -> None:
    email = f"{uuid.uuid4()}@example.com"
    body = {"email": email, "password": PASSWORD}
    key = str(uuid.uuid4())
    made = await house.ask(None, "POST", "auth/register", body, key=key)
    path = f"admin/users/{made.data['user']['id']}"
    await house.ask("admin", "PATCH", path, {"disabled": True})
    again = await house.ask(None, "POST", "auth/register", body, key=key)
    assert again.error == (422, "IDEMPOTENCY_MISMATCH")


async def test_invitation_becomes_an_account_over_http(house: House) -> None:
    token, email = str(uuid.uuid4()), f"{uuid.uuid4()}@example.com"
    await invite(house, token, email)
    body = {"token": token, "password": PASSWORD, "first_name": "Grace"}
    taken = await house.ask(None, "POST", "auth/accept-invitation", body)
    assert (taken.status, taken.data["user"]["role"]) == (201, "staff")
    assert "refresh=" in taken.headers["Set-Cookie"]
    again = await house.ask(None, "POST", "auth/accept-invitation", body)
    assert again.error == (410, "INVALID_LINK")
