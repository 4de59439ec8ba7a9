"""The reference page tells who can sign in to the demo, and nothing of the kind without one."""

from __future__ import annotations

import pytest

from cinema.demo.seed import DEMO_ACCOUNTS
from tests.e2e.api.house import open_site

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


async def test_who_is_told_of_can_sign_in(database: str) -> None:
    async with open_site(database, demo_data=True) as site:
        document = await (await site.client.get("openapi.json")).json()
        told = document["info"]["description"]
        for role, (email, password) in DEMO_ACCOUNTS.items():
            assert f"- {role}: `{email}`, `{password}`" in told
            sent = {"email": email, "password": password}
            async with site.client.post("auth/login", json=sent) as reply:
                assert (await reply.json())["data"]["user"]["role"] == role


async def test_without_a_demo_nobody_is_told_of(database: str) -> None:
    async with open_site(database) as site:
        document = await (await site.client.get("openapi.json")).json()
        assert "demo" not in document["info"]["description"]
