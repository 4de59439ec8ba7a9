"""Routes of exports."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.features.accounts.front_door import FrontDoor
from cinema.features.jobs import examples
from cinema.features.jobs.shapes import Job
from cinema.features.privacy.service import ExportsService
from cinema.http.context import RequestContext
from cinema.http.responses import Medium, Reply, Streamed, header_lines, success
from cinema.http.routes import Operation
from cinema.http.steps import LINK_TOKEN

TAG: Final = "Accounts"

ZIP: Final = Medium(
    content_type="application/zip",
    cache_control="private, no-store",
    content_security_policy="default-src 'none'; sandbox; frame-ancestors 'none'",
)


class ExportParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    exports: ExportsService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/auth/me/export",
    operation_id="exportMe",
    summary="Export everything that is known about your account",
    description="Answers with a job (`GET /jobs/{job_id}`). When it is done, you get a mail with a "
    "link to a zip: JSON files with profile, sessions, audit log, bookings, invoices, points and "
    "mails, and the latest 200 invoices and corrections as PDFs. The link is valid for seven days, "
    "or until the next export. While an export is being made, the answer is its job. Your "
    "address must be verified.",
    tag=TAG,
    auth="bearer",
    response=Job,
    response_example={**examples.JOB, "status": "queued", "done": 0, "total": None}
    | {"remaining": None},
    status=202,
    errors=("FORBIDDEN", "NOT_FOUND", "RATE_LIMITED", "RETRY", "OUTCOME_UNKNOWN"),
)
async def export_me(parts: ExportParts, context: RequestContext) -> Reply:
    """Export the caller's account."""
    job = await parts.exports.ask(context.principal, parts.door.client(context))
    location = header_lines(location=f"/api/v1/jobs/{job.id}")
    return success(job, status=202, extra=location)


@Operation(
    method="GET",
    path="/api/v1/auth/exports/{export_id}",
    operation_id="downloadExport",
    summary="Download an export with the link of its mail",
    description="The link in the mail is `…/exports/{export_id}#token=…`. Send the part after "
    "`#token=` in the header `Link-Token`. The file is deleted after seven days, with the next "
    "export, or with the account.",
    tag=TAG,
    auth="link",
    media_type="application/zip",
    errors=("INVALID_LINK", "RATE_LIMITED", "OVERLOADED", "RETRY"),
)
async def download_export(parts: ExportParts, context: RequestContext) -> Reply:
    """The file of a link."""
    (export_id,) = context.ids
    token = context.request.headers[LINK_TOKEN]
    file = await parts.exports.download(export_id, token, parts.door.client(context))
    headers = header_lines(
        content_disposition=f'attachment; filename="{file.name}"', x_robots_tag="noindex"
    )
    return Streamed(200, file.pieces, file.size_bytes, headers, ZIP)


ROUTES: Final = (export_me, download_export)
