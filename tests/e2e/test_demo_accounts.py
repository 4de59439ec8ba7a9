"""The reference page tells who can sign in to the demo, and nothing of the kind without one."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from cinema.demo import past
from cinema.demo.seed import DEMO_ACCOUNTS
from tests.e2e.api.house import PATIENCE_S, open_site

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


async def test_a_demo_has_a_past_that_reports_show(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "DAYS", 2)
    async with open_site(database, demo_data=True, demo_past=True) as site:
        email, password = DEMO_ACCOUNTS["admin"]
        sent = {"email": email, "password": password}
        async with site.client.post("auth/login", json=sent) as reply:
            token = (await reply.json())["data"]["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        days = f"from={_days_off(-4)}&to={_days_off(1)}"

        async def report(name: str) -> dict[str, Any]:
            async with site.client.get(f"admin/reports/{name}?{days}", headers=bearer) as reply:
                assert reply.status == 200
                return dict(await reply.json())

        async with asyncio.timeout(6 * PATIENCE_S):
            revenue: dict[str, Any] = {"data": []}
            while not revenue["data"]:
                revenue = await report("revenue")
        assert all(one["gross"] > 0 for one in revenue["data"])


def _days_off(days: int) -> date:
    return datetime.now(UTC).date() + timedelta(days=days)
