"""Routes of presale codes, for managers."""

from __future__ import annotations

from typing import Final

from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.presale import examples
from cinema.features.presale.service import PresaleService
from cinema.features.presale.shapes import PresaleCode, PresaleGone, PresaleInput, PresaleTerms
from cinema.http.conditional import version_tag, versions_seen
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, header_lines, success
from cinema.http.routes import Operation

TAG: Final = "Presale"
WRITERS: Final = frozenset({MANAGER, ADMIN})


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/presale-codes",
    operation_id="listPresaleCodes",
    summary="List the presale codes of a showtime",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=list[PresaleCode],
    response_example=[examples.CODE],
    errors=("RETRY",),
)
async def list_codes(presale: PresaleService, context: RequestContext) -> Reply:
    """All codes."""
    (showtime_id,) = context.ids
    return success(await presale.codes(showtime_id, context.principal))


@Operation(
    method="POST",
    path="/api/v1/showtimes/{showtime_id}/presale-codes",
    operation_id="addPresaleCode",
    summary="Add a presale code",
    description="From `starts_at` until sales open to everybody, customers hold seats with it, as "
    "`presale_code` of a hold: `max_uses` holds in all, `uses_per_customer` for each of them.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=PresaleInput,
    request_example=examples.CODE_INPUT,
    response=PresaleCode,
    response_example=examples.CODE,
    status=201,
    errors=("NAME_TAKEN", "RETRY", "OUTCOME_UNKNOWN"),
)
async def add_code(presale: PresaleService, context: RequestContext) -> Reply:
    """A new code."""
    (showtime_id,) = context.ids
    return success(await presale.add(showtime_id, context.principal, context.body), status=201)


@Operation(
    method="PUT",
    path="/api/v1/showtimes/{showtime_id}/presale-codes/{code_id}",
    operation_id="changePresaleCode",
    summary="Change a presale code",
    description="Its text and its uses stay. With bounds below its uses it is used up. `If-Match` "
    "names the `version` that you have seen.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    request=PresaleTerms,
    request_example=examples.TERMS,
    response=PresaleCode,
    response_example=examples.CODE,
    if_match=True,
    etag=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def change_code(presale: PresaleService, context: RequestContext) -> Reply:
    """A code by other terms."""
    showtime_id, code_id = context.ids
    seen = versions_seen(context.request)
    code = await presale.change(showtime_id, code_id, context.principal, context.body, seen)
    return success(code, extra=header_lines(etag=version_tag(code.version)))


@Operation(
    method="DELETE",
    path="/api/v1/showtimes/{showtime_id}/presale-codes/{code_id}",
    operation_id="deletePresaleCode",
    summary="Delete a presale code",
    description="What was held with it stays held.",
    tag=TAG,
    auth="bearer",
    roles=WRITERS,
    response=PresaleGone,
    response_example=examples.GONE,
    if_match=True,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def delete_code(presale: PresaleService, context: RequestContext) -> Reply:
    """No code any longer."""
    showtime_id, code_id = context.ids
    seen = versions_seen(context.request)
    return success(await presale.delete(showtime_id, code_id, context.principal, seen))


ROUTES: Final = (list_codes, add_code, change_code, delete_code)
