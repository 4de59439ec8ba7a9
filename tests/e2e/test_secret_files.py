"""Signing keys rotate under a running server: nobody has to sign in again, nothing restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import jwt
import pytest

from cinema.settings import Secret
from tests.e2e.api.house import open_site

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

OLD, NEW = "o7fJ2mX9vLc4RzT8wKp1bNd6hYs3gAe5", "n7fJ2mX9vLc4RzT8wKp1bNd6hYs3gAe5"


async def test_tokens_of_an_older_key_count_until_it_is_taken_out(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "jwt_secret_key"
    await asyncio.to_thread(file.write_text, OLD)
    async with open_site(database, jwt_secret_key=Secret(OLD, file)) as site:
        client = site.client
        person = {"email": "ann@example.org", "password": "eleven green bicycles"}

        async def token_of(way: str) -> str:
            async with client.post(f"auth/{way}", json=person) as reply:
                return str((await reply.json())["data"]["access_token"])

        async def status(token: str) -> int:
            signed_in = {"Authorization": f"Bearer {token}"}
            async with client.get("auth/me", headers=signed_in) as reply:
                return reply.status

        def signed_by(token: str) -> str:
            return str(jwt.get_unverified_header(token)["kid"])

        old = await token_of("register")
        await asyncio.to_thread(file.write_text, f"{NEW}\n{OLD}\n")
        new = await token_of("login")
        for _ in range(100):
            if signed_by(new) != signed_by(old):
                break
            await asyncio.sleep(0.2)
            new = await token_of("login")
        assert [await status(one) for one in (old, new)] == [200, 200]
        await asyncio.to_thread(file.write_text, f"{NEW}\n")
        for _ in range(100):
            if await status(old) != 200:
                break
            await asyncio.sleep(0.2)
        assert [await status(one) for one in (old, new)] == [401, 200]
