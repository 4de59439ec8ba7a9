"""Short messages over a provider's HTTP API.

`POST` with `{"to", "text", "id"}` as JSON, the token as `Authorization: Bearer`, and the id as
`Idempotency-Key` too. 2xx means that it is accepted.
"""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from cinema.integrations.mail import NotSent

SEND_TIMEOUT_S: Final = 30.0
"""For one message, from connecting to the end of the answer; then the attempt counts as failed."""

ABOUT_US: Final = frozenset({401, 403, 408, 425, 429})
"""Answers of 4xx that say nothing of the message: a later attempt may succeed."""


class HttpSms:
    """Sends each message over a connection of its own. `token` may be empty."""

    def __init__(self, url: str, token: str, *, timeout_s: float = SEND_TIMEOUT_S) -> None:
        self._url = url
        self._token = token
        self._timeout_s = timeout_s

    async def send(self, number: str, text: str, message_id: str) -> None:
        """See `SmsSender.send`."""
        headers = {"Idempotency-Key": message_id}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url,
                    json={"to": number, "text": text, "id": message_id},
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            # What it says may repeat the address, which may have a password.
            raise NotSent(f"SMS: {type(error).__name__}") from None
        if not 200 <= status < 300:
            for_good = 400 <= status < 500 and status not in ABOUT_US
            raise NotSent(f"SMS: answer {status}", for_good=for_good)
