"""Handing short messages on: to a real receiver of HTTP in its moods."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from aiohttp import web

from cinema.integrations.mail import NotSent
from cinema.integrations.sms.http import HttpSms
from tests.support.receivers import HOST, Received, Receiver, receiver

NUMBER, TEXT = "+4930123456", "Stalker: 20:00. Plätze: F7"


@pytest.fixture
async def provider() -> AsyncIterator[Receiver]:
    async with receiver() as started:
        yield started


async def test_a_message_arrives_as_it_was_written(provider: Receiver) -> None:
    await HttpSms(provider.url, "secret").send(NUMBER, TEXT, "one")
    (taken,) = provider.received
    said = msgspec.json.decode(taken.body)
    assert said == {"to": NUMBER, "text": TEXT, "id": "one"}
    assert taken.headers["Authorization"] == "Bearer secret"
    assert taken.headers["Idempotency-Key"] == "one"
    await HttpSms(provider.url, "").send(NUMBER, TEXT, "two")
    assert "Authorization" not in provider.received[1].headers


@pytest.mark.parametrize(
    ("status", "for_good"),
    [
        *((status, True) for status in (400, 404, 422)),
        *((status, False) for status in (302, 401, 403, 408, 429, 500, 503)),
    ],
)
async def test_what_is_about_the_message_is_not_tried_again(
    provider: Receiver, status: int, for_good: bool
) -> None:
    def refused(_received: Received) -> web.Response:
        return web.Response(status=status, headers={"Location": provider.url})

    provider.answer = refused
    with pytest.raises(NotSent) as told:
        await HttpSms(provider.url, "secret").send(NUMBER, TEXT, "one")
    assert (str(told.value), told.value.for_good) == (f"SMS: answer {status}", for_good)
    # A redirect is not followed: it would take the token along.
    assert len(provider.received) == 1


async def test_a_provider_that_does_not_answer_is_given_up_after_a_while(
    provider: Receiver,
) -> None:
    ended = asyncio.Event()

    async def silent(_received: Received) -> web.Response:
        await ended.wait()
        return web.Response()

    provider.answer = silent
    with pytest.raises(NotSent) as told:
        await HttpSms(provider.url, "secret", timeout_s=0.2).send(NUMBER, TEXT, "one")
    ended.set()
    assert not told.value.for_good


async def test_a_provider_that_is_away_is_told_without_its_address() -> None:
    url = f"http://user:pass-word@{HOST}:1/sms"
    with pytest.raises(NotSent) as told:
        await HttpSms(url, "").send(NUMBER, TEXT, "one")
    assert not told.value.for_good
    assert "pass-word" not in str(told.value)
