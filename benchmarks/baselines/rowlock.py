"""The usual way to sell seats: lock their rows, check them, insert the hold, update them, commit.

It answers the same JSON from the same Postgres with the same libraries. Written to do well: one
pool, prepared statements (asyncpg caches them by text), rows locked in primary-key order so that
no two transactions wait for each other in a circle, expired holds taken over in the same pass, no
index beyond the primary keys, fillfactor 50 so that seat updates stay on their page. No
authentication, no metrics and no logs: all of that would only make it slower.

Run: `python -m benchmarks.baselines.rowlock PORT DSN`.
"""

import os
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import uvloop
from aiohttp import web

from benchmarks.baselines.serving import serve
from benchmarks.baselines.shapes import (
    HoldReply,
    Problem,
    ProblemReply,
    decode_request,
    encode,
    hold_reply,
)

POOL_CONNECTIONS = 24
"""The best of 8, 16, 24 and 32 where this was written; see benchmarks/README.md."""

HOLD_TTL = timedelta(minutes=10)

FREE, HELD = 0, 1

CREATE = """
CREATE SCHEMA IF NOT EXISTS rowlock;
CREATE TABLE IF NOT EXISTS rowlock.holds (
    hold_id uuid PRIMARY KEY,
    showtime_id uuid NOT NULL,
    seats text[] NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE TABLE IF NOT EXISTS rowlock.seats (
    showtime_id uuid NOT NULL,
    label text NOT NULL,
    status smallint NOT NULL DEFAULT 0,
    hold_id uuid,
    held_until timestamptz,
    PRIMARY KEY (showtime_id, label)
) WITH (fillfactor = 50);
"""

LOCK = """
SELECT label, status, held_until FROM rowlock.seats
WHERE showtime_id = $1 AND label = ANY($2)
ORDER BY label
FOR UPDATE
"""

INSERT_HOLD = """
INSERT INTO rowlock.holds (hold_id, showtime_id, seats, expires_at) VALUES ($1, $2, $3, $4)
"""

TAKE = """
UPDATE rowlock.seats SET status = 1, hold_id = $3, held_until = $4
WHERE showtime_id = $1 AND label = ANY($2)
"""

FILL = """
INSERT INTO rowlock.seats (showtime_id, label)
SELECT showtime_id, label FROM unnest($1::uuid[]) showtime_id, unnest($2::text[]) label
"""

POOL: "web.AppKey[asyncpg.Pool[asyncpg.Record]]" = web.AppKey("pool")


def new_hold_id() -> uuid.UUID:
    """A UUIDv7, so that the holds' index grows at its end."""
    milliseconds = time.time_ns() // 1_000_000
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10))
    number = (number & ~(0xF << 76)) | (0x7 << 76)
    return uuid.UUID(int=(number & ~(0x3 << 62)) | (0x2 << 62))


def refusal(code: str, message: str, seats: list[str]) -> ProblemReply:
    """The error envelope of a hold that could not be had."""
    return ProblemReply(
        success=False,
        error=Problem(code=code, message=message, details={"seats": seats}),
        request_id="",
    )


async def take_seats(
    pool: "asyncpg.Pool[asyncpg.Record]", showtime_id: uuid.UUID, labels: list[str]
) -> tuple[int, HoldReply | ProblemReply]:
    """Hold all of the seats in one transaction, or none."""
    now = datetime.now(UTC)
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(LOCK, showtime_id, labels)
        if len(rows) != len(labels):
            return 422, refusal("UNKNOWN_SEAT", "No such seat.", labels)
        taken = [row["label"] for row in rows if row["status"] != FREE and row["held_until"] > now]
        if taken:
            return 409, refusal("SEAT_UNAVAILABLE", "Already taken.", taken)
        hold_id, expires_at = new_hold_id(), now + HOLD_TTL
        await connection.execute(INSERT_HOLD, hold_id, showtime_id, labels, expires_at)
        await connection.execute(TAKE, showtime_id, labels, hold_id, expires_at)
    expiry = expires_at.isoformat().replace("+00:00", "Z")
    return 201, hold_reply(str(hold_id), str(showtime_id), labels, expiry, 1)


async def hold(request: web.Request) -> web.Response:
    """Hold seats, or refuse."""
    wanted = decode_request(await request.read())
    showtime_id = uuid.UUID(request.match_info["id"])
    status, reply = await take_seats(request.app[POOL], showtime_id, wanted.seats)
    return web.Response(body=encode(reply), status=status, content_type="application/json")


async def main(port: int, dsn: str) -> None:
    """Serve holds from a pool of connections."""
    async with asyncpg.create_pool(
        dsn, min_size=POOL_CONNECTIONS, max_size=POOL_CONNECTIONS
    ) as pool:
        await pool.execute(CREATE)
        app = web.Application()
        app[POOL] = pool
        app.router.add_post("/api/v1/showtimes/{id}/holds", hold)
        await serve(app, port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
