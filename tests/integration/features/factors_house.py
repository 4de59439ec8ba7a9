"""What tests of second factors share: phones, logins with codes, and who waits for whom."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from cinema.domain.principal import Principal
from cinema.domain.rejections import Refused
from cinema.features.accounts.challenge_rules import CHALLENGE_S
from cinema.features.accounts.shapes import (
    ChallengeInput,
    Client,
    FactorInput,
    LoginInput,
    SignedIn,
    TotpInput,
)
from cinema.features.accounts.totp_rules import STEP_S, code_at
from cinema.storage.database.transactions import transaction
from tests.integration.features.accounts_house import HERE, House

PASSWORD = "correct horse"
ENDED = ("INVALID_CREDENTIALS", {"reason": "CHALLENGE_ENDED"})
WRONG_CODE = ("INVALID_CREDENTIALS", {"reason": "INVALID_CODE"})


class Phone:
    """An authenticator."""

    def __init__(self, house: House, secret: str) -> None:
        self._clock = house.clock
        self._secret = base64.b32decode(secret)

    def code(self, ahead: int = 0) -> str:
        return code_at(self._secret, int(self._clock.now_s) // STEP_S + ahead)

    def next_code(self) -> str:
        """The code of the next step, to which the time goes on."""
        self._clock.now_s += STEP_S
        return self.code()


def begin(house: House, principal: Principal, code: str = "", password: str = PASSWORD) -> Any:
    return house.factors.begin(principal, TotpInput(password=password, code=code), HERE)


async def enrolled(
    house: House, signed: SignedIn, password: str = PASSWORD
) -> tuple[Phone, list[str]]:
    """A phone that counts, and the recovery codes."""
    principal = await house.admission.look_up(signed.access_token)
    begun = await begin(house, principal, password=password)
    phone = Phone(house, begun.secret)
    done = await house.factors.confirm(principal, phone.next_code(), HERE)
    return phone, done.recovery_codes


def log_in(house: House, code: str = "", password: str = PASSWORD) -> Any:
    request = LoginInput(email="ann@example.com", password=password, code=code)
    return house.accounts.login(request, HERE)


def remove(house: House, principal: Principal, code: str, password: str = PASSWORD) -> Any:
    request = FactorInput(password=password, code=code)
    return house.factors.remove(principal, request, HERE)


def now_of(house: House) -> datetime:
    return datetime.fromtimestamp(house.clock.now_s, UTC)


async def spend(house: House, user_id: UUID, code: str) -> bool:
    async with transaction(house.pool) as running:
        return await house.factor_store.spend(running, user_id, code, HERE, now_of(house))


async def waits_for_locks(house: House, count: int) -> None:
    """Wait until so many statements of the database wait for others."""
    async with asyncio.timeout(10):
        while count != await house.pool.fetchval(  # noqa: ASYNC110  # nobody tells when
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock'"
        ):
            await asyncio.sleep(0)


async def details(call: Any) -> tuple[str, Any]:
    with pytest.raises(Refused) as caught:
        await call
    return caught.value.rejection.code, caught.value.rejection.details


async def challenged(house: House, email: str = "ann@example.com") -> str:
    """The token of a login that waits for a code."""
    request = LoginInput(email=email, password=PASSWORD)
    code, found = await details(house.accounts.login(request, HERE))
    assert (code, found["expires_in"]) == ("MFA_REQUIRED", CHALLENGE_S)
    return str(found["mfa_token"])


def answer(house: House, token: str, code: str, client: Client = HERE) -> Any:
    return house.accounts.answer_challenge(ChallengeInput(mfa_token=token, code=code), client)
