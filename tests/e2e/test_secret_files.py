"""Secrets change under a running server: nobody has to sign in again, nothing restarts."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import jwt
import pytest
import structlog

from cinema.local.redis_server import LocalRedis
from cinema.settings import Secret
from cinema.storage.redis.client import redis_client
from tests.e2e.api.house import open_site
from tests.support.mail_server import HOST, mail_server

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PATIENCE_S = 60.0
"""A busy machine looks at files, and signs in to Redis, late."""

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


async def test_database_is_signed_in_to_as_the_user_whom_the_file_names_by_then(
    database: str, tmp_path: Path
) -> None:
    name = f"clerk_{os.getpid()}"
    parts = urlsplit(database)
    other = urlunsplit(parts._replace(netloc=f"{name}@{parts.netloc.rpartition('@')[2]}"))
    file = tmp_path / "database_url"
    await asyncio.to_thread(file.write_text, database)
    server = await asyncpg.connect(database)
    await server.execute(f"create role {name} superuser login")
    async with open_site(database, database_url=Secret(database, file)) as site:

        async def users() -> set[str]:
            rows = await server.fetch(
                "select usename from pg_stat_activity where datname = current_database()"
                " and application_name like 'cinema%'"
            )
            return {row["usename"] for row in rows}

        assert name not in await users()
        await asyncio.to_thread(file.write_text, other)
        for _ in range(100):
            # As somebody does after a password has leaked.
            await server.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and application_name like 'cinema%'"
                " and usename <> $1",
                name,
            )
            async with site.client.get("movies") as reply:
                if reply.status == 200 and await users() == {name}:
                    break
            await asyncio.sleep(0.2)
        assert await users() == {name}
        async with site.client.get("movies") as reply:
            assert reply.status == 200
    await server.execute(f"drop role {name}")
    await server.close()


async def test_mails_leave_by_the_server_that_the_file_names_by_then(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "smtp_url"
    async with mail_server() as old, mail_server() as new:
        first = f"smtp://{HOST}:{old.port}"
        await asyncio.to_thread(file.write_text, first)
        async with open_site(database, smtp_url=Secret(first, file)) as site:
            await asyncio.to_thread(file.write_text, "gopher://nowhere")
            await asyncio.to_thread(file.write_text, f"smtp://{HOST}:{new.port}")
            for number in range(100):
                person = {"email": f"ann{number}@example.org", "password": "eleven bicycles"}
                async with site.client.post("auth/register", json=person) as reply:
                    assert reply.status == 201
                await asyncio.sleep(0.2)
                if new.mails:
                    break
            assert new.mails


async def test_secrets_between_services_change_as_their_files_do(
    database: str, tmp_path: Path, own_redis: LocalRedis
) -> None:
    operator = redis_client(own_redis.url, timeout_s=PATIENCE_S)
    known = ("ACL", "SETUSER", "node", "on", f">{OLD}", f">{NEW}", "~*", "&*", "+@all")
    await operator.execute_command(*known)

    def address(password: str) -> str:
        return own_redis.url.replace("unix://", f"unix://node:{password}@", 1)

    before = {
        "redis_url": address(OLD),
        "cluster_secret": OLD,
        "s3_access_key_id": "old",
        "s3_secret_access_key": OLD,
    }
    after = {
        "redis_url": address(NEW),
        "cluster_secret": f"{OLD}\n{NEW}",
        "s3_access_key_id": "new",
        "s3_secret_access_key": NEW,
    }

    async def write(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            await asyncio.to_thread((tmp_path / name).write_text, text)

    await write(before)
    settings = {name: Secret(text, tmp_path / name) for name, text in before.items()}
    where = {"host": "127.0.0.1", "cluster_port": 0, "s3_url": "s3://files"}
    with structlog.testing.capture_logs() as lines:
        async with open_site(database, **settings, **where) as site:
            await write(after)
            async with asyncio.timeout(PATIENCE_S):
                while {name.upper() for name in after} != {
                    line["variable"] for line in lines if line["event"] == "secret_reloaded"
                }:
                    async with site.client.get("movies") as reply:
                        assert reply.status == 200
            assert site.node.cluster is not None
            assert site.node.cluster.secrets.known == (OLD.encode(), NEW.encode())
            await operator.execute_command("ACL", "SETUSER", "node", f"<{OLD}")
            await operator.execute_command("CLIENT", "KILL", "USER", "node")
            person = {"email": "ann@example.org", "password": "eleven green bicycles"}
            async with asyncio.timeout(PATIENCE_S):
                while b"user=node" not in await operator.execute_command("CLIENT", "LIST"):
                    async with site.client.post("auth/login", json=person) as reply:
                        assert reply.status in {401, 429}
    await operator.aclose()
