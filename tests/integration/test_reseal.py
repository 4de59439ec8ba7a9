"""`cinema reseal` on a real Postgres."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from cinema.__main__ import main
from cinema.features.accounts.letters import no_post
from cinema.features.accounts.totp_store import FactorsRepository
from cinema.storage.database.transactions import Pool
from cinema.storage.encryption import Cipher

pytestmark = pytest.mark.postgres

OLD, NEW = b"o" * 32, b"n" * 32


async def test_old_key_can_be_taken_out_after_a_reseal(
    pool: Pool, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    user_id = uuid4()
    await pool.execute(
        "insert into users (id, email, email_key, password_hash, created_at)"
        " values ($1, 'a@b.de', 'a@b.de', 'none', now())",
        user_id,
    )
    factors = FactorsRepository(pool, Cipher([OLD]), no_post, new_id=uuid4)
    assert await factors.begin(user_id, b"secret", datetime.now(UTC))
    body = Cipher([OLD]).seal(b"body", place=b"messages.body:" + user_id.bytes)
    await pool.execute(
        "insert into messages"
        " (id, dedupe_key, kind, recipient, language, body, created_at, send_at, next_try_at)"
        " values ($1, 'a', 'a', 'a@b.de', 'en', $2, now(), now(), now())",
        user_id,
        body,
    )
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{NEW.hex()} {OLD.hex()}")
    for count in (2, 0):
        assert await asyncio.to_thread(main, ["reseal"]) == 0
        assert capsys.readouterr().out == f"cinema: sealed {count} values again\n"
    factors = FactorsRepository(pool, Cipher([NEW]), no_post, new_id=uuid4)
    found = await factors.pending(user_id, datetime.now(UTC))
    assert found is not None
    assert found.secret == b"secret"
    monkeypatch.setenv("ENCRYPTION_KEYS", OLD.hex())
    with pytest.raises(SystemExit) as stopped:
        await asyncio.to_thread(main, ["reseal"])
    assert stopped.value.code == 1
    assert capsys.readouterr().err == "cinema: no key of ENCRYPTION_KEYS opens 2 values\n"
