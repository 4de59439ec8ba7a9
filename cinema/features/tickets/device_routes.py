"""Routes by which managers add scanners and take them out of use."""

from __future__ import annotations

from typing import Final

import msgspec

from cinema.domain.paging import PageQuery
from cinema.domain.principal import ADMIN, MANAGER
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.tickets import examples
from cinema.features.tickets.device_service import DevicesService
from cinema.features.tickets.shapes import Device, DeviceInput, NewDevice
from cinema.http.context import RequestContext
from cinema.http.pages import PageMeta, listed
from cinema.http.responses import Reply, success
from cinema.http.routes import Operation

TAG: Final = "Scanning"
MANAGERS: Final = frozenset({MANAGER, ADMIN})


class DeviceParts(msgspec.Struct, frozen=True):
    """What the handlers of this module work with."""

    devices: DevicesService
    door: FrontDoor


@Operation(
    method="POST",
    path="/api/v1/cinemas/{cinema_id}/scanners",
    operation_id="addScanner",
    summary="Add a scanner",
    description="Only this answer has its token. With it, as `Device-Token`, tickets of this "
    "cinema are scanned, and nothing else is done.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    request=DeviceInput,
    request_example={"name": "Door 1"},
    response=NewDevice,
    response_example=examples.NEW_DEVICE,
    status=201,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def add_scanner(parts: DeviceParts, context: RequestContext) -> Reply:
    """Add a scanner."""
    (cinema_id,) = context.ids
    client, name = parts.door.client(context), context.body.name
    return success(await parts.devices.add(context.principal, cinema_id, name, client), status=201)


@Operation(
    method="GET",
    path="/api/v1/cinemas/{cinema_id}/scanners",
    operation_id="listScanners",
    summary="List the scanners of a cinema, oldest first",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    query=PageQuery,
    response=list[Device],
    response_example=[examples.DEVICE],
    meta=PageMeta,
    errors=("RETRY",),
)
async def list_scanners(parts: DeviceParts, context: RequestContext) -> Reply:
    """A page of scanners."""
    (cinema_id,) = context.ids
    return listed(await parts.devices.list(context.principal, cinema_id, context.query))


@Operation(
    method="DELETE",
    path="/api/v1/scanners/{scanner_id}",
    operation_id="revokeScanner",
    summary="Take a scanner out of use",
    description="At once: its token counts no longer.",
    tag=TAG,
    auth="bearer",
    roles=MANAGERS,
    response=Device,
    response_example=examples.REVOKED,
    errors=("RETRY", "OUTCOME_UNKNOWN"),
)
async def revoke_scanner(parts: DeviceParts, context: RequestContext) -> Reply:
    """Take a scanner out of use."""
    (scanner_id,) = context.ids
    client = parts.door.client(context)
    return success(await parts.devices.revoke(context.principal, scanner_id, client))


ROUTES: Final = (add_scanner, list_scanners, revoke_scanner)
