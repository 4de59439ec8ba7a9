"""Routes of scanners."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from uuid import UUID

import msgspec

from cinema.features.accounts.authority import COUNTER_ROLES
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.tickets import examples
from cinema.features.tickets.device_service import DevicesService
from cinema.features.tickets.offline_service import OfflineService
from cinema.features.tickets.rules import Scanner
from cinema.features.tickets.scan_service import ScansService
from cinema.features.tickets.shapes import (
    Admission,
    Attendance,
    OfflineScans,
    ReasonInput,
    ScanInput,
    SignedScanList,
    Ticket,
    Uploaded,
)
from cinema.http.conditional import tagged
from cinema.http.context import RequestContext
from cinema.http.responses import Reply, success, success_body
from cinema.http.routes import Operation
from cinema.http.steps import DEVICE_TOKEN

TAG: Final = "Scanning"

_WHO: Final = "For staff of the cinema, and for its scanners with `Device-Token`."


class ScanParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    scans: ScansService
    offline: OfflineService
    devices: DevicesService
    door: FrontDoor

    async def scanner(self, context: RequestContext, device_id: UUID | None = None) -> Scanner:
        """Who scans."""
        return await self.devices.scanner(context.caller, _token(context), device_id)


def _token(context: RequestContext) -> str:
    return context.request.headers.get(DEVICE_TOKEN, "")


@Operation(
    method="POST",
    path="/api/v1/tickets/scan",
    operation_id="scanTicket",
    summary="Let somebody in",
    description="A ticket is let in once, however many scanners are shown it at the same time. The "
    "code of a booking lets in all of its tickets that are not in yet; those that were not let in "
    "are `refused`. People are let in from half an hour before the start until a quarter of an "
    "hour after the end, or as the cinema's settings say. Of several refusals the first in this "
    f"order is told. {_WHO}",
    tag=TAG,
    auth="device",
    roles=COUNTER_ROLES,
    request=ScanInput,
    request_example=examples.SCAN_INPUT,
    response=Admission,
    response_example=examples.ADMISSION,
    errors=(
        "UNKNOWN_REFERENCE",
        "IDEMPOTENCY_MISMATCH",
        "TICKET_FORGED",
        "TICKET_REVOKED",
        "TICKET_CANCELLED",
        "TICKET_UNPAID",
        "TICKET_BLOCKED",
        "WRONG_CINEMA",
        "WRONG_SHOWTIME",
        "TOO_EARLY",
        "TOO_LATE",
        "ALREADY_USED",
        "TICKET_NOT_INSIDE",
        "RETRY",
        "OUTCOME_UNKNOWN",
    ),
)
async def scan_ticket(parts: ScanParts, context: RequestContext) -> Reply:
    """Let somebody in, or out."""
    client, token = parts.door.client(context), _token(context)
    return success(await parts.scans.scan(context.caller, token, context.body, client))


@Operation(
    method="POST",
    path="/api/v1/tickets/scans",
    operation_id="uploadScans",
    summary="Upload scans that were made without a connection",
    description="Up to 500. Of two entries with one ticket the earlier one counts, and both are "
    "listed in `conflicts`. A scan that was uploaded before is answered as it was then. Times are "
    f"corrected by `sent_at`. {_WHO}",
    tag=TAG,
    auth="device",
    roles=COUNTER_ROLES,
    request=OfflineScans,
    request_example=examples.SCANS_INPUT,
    response=Uploaded,
    response_example=examples.UPLOADED,
    errors=("UNKNOWN_REFERENCE", "IDEMPOTENCY_MISMATCH", "RETRY", "OUTCOME_UNKNOWN"),
)
async def upload_scans(parts: ScanParts, context: RequestContext) -> Reply:
    """Write down what happened without a connection."""
    scanner = await parts.scanner(context, context.body.device_id)
    return success(await parts.offline.upload(scanner, context.body))


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/scan-list",
    operation_id="getScanList",
    summary="Get the tickets of a showtime, for a scanner without a connection",
    description="Without names, and signed: `signature` is over the canonical JSON (RFC 8785) of "
    f"`list`, by the key `key_id`. {_WHO}",
    tag=TAG,
    auth="device",
    roles=COUNTER_ROLES,
    response=SignedScanList,
    response_example=examples.SCAN_LIST,
    etag=True,
    errors=("RETRY",),
)
async def get_scan_list(parts: ScanParts, context: RequestContext) -> Reply:
    """The list of a showtime."""
    (showtime_id,) = context.ids
    made = await parts.offline.scan_list(await parts.scanner(context), showtime_id)
    body = success_body(made)
    return tagged(context.request, f'"{blake2b(body, digest_size=12).hexdigest()}"', body)


@Operation(
    method="GET",
    path="/api/v1/showtimes/{showtime_id}/attendance",
    operation_id="getAttendance",
    summary="See who is in",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    response=Attendance,
    response_example=examples.ATTENDANCE,
    errors=("RETRY",),
)
async def get_attendance(parts: ScanParts, context: RequestContext) -> Reply:
    """Who is in."""
    (showtime_id,) = context.ids
    return success(await parts.offline.attendance(await parts.scanner(context), showtime_id))


@Operation(
    method="POST",
    path="/api/v1/tickets/{ticket_id}/unscan",
    operation_id="unscanTicket",
    summary="Take back that a ticket was used",
    description="For what was scanned by mistake: the ticket is valid again.",
    tag=TAG,
    auth="bearer",
    roles=COUNTER_ROLES,
    request=ReasonInput,
    request_example={"reason": "The wrong ticket was scanned."},
    response=Ticket,
    response_example=examples.TICKET,
    errors=("TICKET_UNPAID", "TICKET_NOT_INSIDE", "RETRY", "OUTCOME_UNKNOWN"),
)
async def unscan_ticket(parts: ScanParts, context: RequestContext) -> Reply:
    """Take an entry back."""
    (ticket_id,) = context.ids
    client, reason = parts.door.client(context), context.body.reason
    return success(await parts.scans.unscan(context.principal, ticket_id, reason, client))


ROUTES: Final = (scan_ticket, upload_scans, get_scan_list, get_attendance, unscan_ticket)
