"""Routes for probes and scrapers: health, readiness, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog
from multidict import istr

from cinema.domain.rejections import refuse
from cinema.http.connections.proxies import FORWARDED_FOR
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply, success
from cinema.http.routes import Operation
from cinema.telemetry.metrics import Metrics

TAG: Final = "Operations"
CHECK_FAILED: Final = "readiness_check_failed"

OF_PROXIES: Final = (
    FORWARDED_FOR,
    *map(istr, ("Forwarded", "Via", "X-Forwarded-Host", "X-Forwarded-Server", "X-Real-IP")),
    *map(istr, ("X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP")),
)
"""Headers with which proxies say for whom they ask, or that they do; a scraper sends none of them.

`X-Forwarded-Proto` is not among them, since the sidecars of a mesh add it to all there is.
"""

CHECK_TIMEOUT_S: Final = 2.0
"""A probe waits at most this long for one check: a slower part is not ready."""

PROMETHEUS: Final = Medium(content_type="text/plain; version=0.0.4; charset=utf-8")

Check = Callable[[], Awaitable[str | None]]
"""None if all is well, else a short text for the operator, without secrets."""

log = structlog.get_logger()


class Health(msgspec.Struct, frozen=True):
    """`ok`; a process that is not alive does not answer."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """The checks, each `ok`."""

    status: str
    checks: dict[str, str]


class HealthParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with: checks, and metrics."""

    checks: Mapping[str, Check]
    metrics: Metrics


@Operation(
    method="GET",
    path="/healthz",
    operation_id="healthz",
    summary="Check whether the process is alive",
    tag=TAG,
    response=Health,
    response_example={"status": "ok"},
    over_http=True,
)
async def healthz(_parts: HealthParts, _: RequestContext) -> Reply:
    """Always ok, because this process answers."""
    return success(Health("ok"))


@Operation(
    method="GET",
    path="/readyz",
    operation_id="readyz",
    summary="Check whether the node can serve",
    description="Checks the database, the disk and everything else that this node needs.",
    tag=TAG,
    response=Readiness,
    response_example={"status": "ok", "checks": {"database": "ok", "disk": "ok"}},
    errors=("NOT_READY",),
    over_http=True,
)
async def readyz(parts: HealthParts, _: RequestContext) -> Reply:
    """The results of all checks, which run at the same time."""
    checks = parts.checks
    answers = await asyncio.gather(*(_run(name, check) for name, check in checks.items()))
    results = dict(zip(checks, answers, strict=True))
    if any(answer != "ok" for answer in answers):
        raise refuse("NOT_READY", checks=results)
    return success(Readiness("ok", results))


@Operation(
    method="GET",
    path="/metrics",
    operation_id="metrics",
    summary="Prometheus metrics",
    description="For scrapers in the same network: 404 for any other spelling of the path, and for "
    "requests that a proxy forwards (`X-Forwarded-For`, `Forwarded`, `Via`, `X-Real-IP` and more).",
    tag=TAG,
    media_type="text/plain",
    over_http=True,
    literal=True,
    errors=("NOT_FOUND",),
)
async def render_metrics(parts: HealthParts, context: RequestContext) -> Reply:
    """All metrics in the text format."""
    headers = context.request.headers
    if any(one in headers for one in OF_PROXIES):
        # A scraper asks the node directly; requests that a proxy forwards come from outside.
        raise refuse("NOT_FOUND")
    return Reply(200, parts.metrics.render(), medium=PROMETHEUS)


ROUTES: Final = (healthz, readyz, render_metrics)


async def _run(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check() or "ok"
    except TimeoutError:
        return "timed out"
    except Exception:
        log.exception(CHECK_FAILED, check=name)
        return "failed"
