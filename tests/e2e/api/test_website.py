"""What a whole node tells the web app, and the document that its types are made from."""

from __future__ import annotations

import msgspec
import pytest

from cinema.app.document import declared_document
from cinema.cli.main import main
from cinema.demo.seed import DEMO_ACCOUNTS
from tests.e2e.api.house import open_site

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


async def test_a_demo_names_its_accounts_and_the_document_is_the_one_that_is_declared(
    database: str,
) -> None:
    async with open_site(database, demo_data=True) as site:
        async with site.client.get("site") as reply:
            told = (await reply.json())["data"]
        async with site.client.get("openapi.json") as reply:
            served = await reply.json()
    accounts = {one["role"]: (one["email"], one["password"]) for one in told["demo_accounts"]}
    assert accounts == DEMO_ACCOUNTS
    declared = msgspec.json.decode(msgspec.json.encode(declared_document()))
    assert declared["components"] == served["components"]
    assert declared["paths"] == served["paths"]


async def test_without_a_demo_there_are_no_accounts_to_try(database: str) -> None:
    async with open_site(database) as site, site.client.get("site") as reply:
        assert (await reply.json())["data"]["demo_accounts"] == []


def test_the_command_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    printed = msgspec.json.decode(capsys.readouterr().out)
    assert printed == msgspec.json.decode(msgspec.json.encode(declared_document()))
