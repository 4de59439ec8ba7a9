"""Bare aiohttp handlers: they decode and encode the JSON of a hold, and do nothing else.

The ceiling for any hold over HTTP on aiohttp: no authentication, no metrics, no logs, no storage.

Run: `python -m benchmarks.baselines.bare PORT`.
"""

import sys

import uvloop
from aiohttp import web

from benchmarks.baselines.serving import serve
from benchmarks.baselines.shapes import decode_request, encode, hold_reply

HOLD_ID = "0190a1b2-0000-7000-8000-000000000000"
EXPIRES_AT = "2026-01-01T00:00:00.000000Z"


async def hold(request: web.Request) -> web.Response:
    """Answer as a hold is answered."""
    wanted = decode_request(await request.read())
    reply = hold_reply(HOLD_ID, request.match_info["id"], wanted.seats, EXPIRES_AT, 1)
    return web.Response(body=encode(reply), status=201, content_type="application/json")


async def release(request: web.Request) -> web.Response:
    """Answer as a release is answered."""
    showtime_id, hold_id = request.match_info["id"], request.match_info["hold_id"]
    reply = hold_reply(hold_id, showtime_id, ["A1"], EXPIRES_AT, 1, status="released")
    return web.Response(body=encode(reply), content_type="application/json")


def application() -> web.Application:
    """Two routes."""
    app = web.Application()
    app.router.add_post("/api/v1/showtimes/{id}/holds", hold)
    app.router.add_delete("/api/v1/showtimes/{id}/holds/{hold_id}", release)
    return app


if __name__ == "__main__":
    uvloop.run(serve(application(), int(sys.argv[1])))
