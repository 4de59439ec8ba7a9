"""How this feature is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.actors.tasks import Tasks
from cinema.features.accounts.front_door import FrontDoor
from cinema.features.bookings.mail_jobs import CHANGED_MESSAGE, CONFIRMED_MESSAGE
from cinema.features.bookings.order_store import ORDER_LINK
from cinema.features.bookings.staff_store import AGAIN
from cinema.features.feature import Feature
from cinema.features.messages.jobs import Outgoing
from cinema.features.messages.letters import Enclosure
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.features.tickets import device_routes, scan_routes
from cinema.features.tickets import routes as ticket_routes
from cinema.features.tickets.device_routes import DeviceParts
from cinema.features.tickets.device_service import DevicesService
from cinema.features.tickets.device_store import DevicesRepository
from cinema.features.tickets.door_store import DoorsRepository
from cinema.features.tickets.errors import ERRORS
from cinema.features.tickets.metrics import ScanCounts
from cinema.features.tickets.offline_service import OfflineService
from cinema.features.tickets.routes import TicketParts
from cinema.features.tickets.rows import TICKET_BRANCHES
from cinema.features.tickets.scan_routes import ScanParts
from cinema.features.tickets.scan_service import ScansService
from cinema.features.tickets.scan_store import ScansRepository
from cinema.features.tickets.service import PROGRAM as PRINTING_TICKETS
from cinema.features.tickets.service import TicketsService
from cinema.features.tickets.signing import TicketKeys
from cinema.features.tickets.store import TicketsRepository
from cinema.http.routes import bound
from cinema.integrations.forks import ForkServer
from cinema.integrations.wallet.apple import ApplePasses
from cinema.settings import encryption_keys, pass_identity, problems_of_ticket_keys


async def build(node: NodeParts, offered: Offered) -> Feature:
    now, keys = node.common_time, TicketKeys(_ticket_keys(node.settings.ticket_signing_keys))
    store, scans = TicketsRepository(node.pool, node.sold), ScansRepository(node.pool)
    counts = ScanCounts()
    tickets = TicketsService(store, keys, offered[ForkServer], new_id=node.next_uuid, now=now)
    tickets.offer_passes(_passes(node.settings.wallet_pass_certificate))
    devices = DevicesService(DevicesRepository(node.pool), new_id=node.next_uuid, now=now)
    tasks = Tasks(node.kernel.metrics.task_failures)
    node.stack.push_async_callback(tasks.cancel)
    doors = DoorsRepository(node.pool, tasks)

    async def enclose(order: Mapping[str, Any], language: str) -> Sequence[Enclosure]:
        # Orders of the builds before this one do not say which booking they are about.
        booking_id = order.get("booking_id")
        return () if booking_id is None else await tickets.enclosed(UUID(booking_id), language)

    offered[Outgoing].enclose(ORDER_LINK, enclose)
    offered[Outgoing].enclose(AGAIN, enclose)
    offered[Outgoing].enclose(CONFIRMED_MESSAGE, enclose)
    offered[Outgoing].enclose(CHANGED_MESSAGE, enclose)
    scanning = ScansService(
        doors, scans, devices, tickets, keys, counts, new_id=node.next_uuid, now=now
    )
    offline = OfflineService(scans, store, keys, counts, now=now)
    return Feature(
        routes=(
            *bound(ticket_routes.ROUTES, TicketParts(tickets, offered[FrontDoor])),
            *bound(scan_routes.ROUTES, ScanParts(scanning, offline, devices, offered[FrontDoor])),
            *bound(device_routes.ROUTES, DeviceParts(devices, offered[FrontDoor])),
        ),
        metrics=(counts.families,),
        sweeps={"ticket-scans": scans.forget},
        secrets={
            "TICKET_SIGNING_KEYS": lambda text: keys.replace(_ticket_keys(text)),
            "WALLET_PASS_CERTIFICATE": lambda text: tickets.offer_passes(_passes(text)),
        },
    )


def _ticket_keys(text: str) -> tuple[bytes, ...]:
    """The keys in `text`, newest first. Raises `ValueError`."""
    problems = list(problems_of_ticket_keys(text, production=False))
    if problems:
        raise ValueError("; ".join(problems))
    return encryption_keys(text)


def _passes(text: str) -> ApplePasses | None:
    """What makes tickets for wallets; None without a certificate. Raises `ValueError`."""
    identity = pass_identity(text)
    return None if identity is None else ApplePasses(identity)


TAGS: Final = {
    "Tickets": "Signed codes for booked seats, to show and to print.",
    "Scanning": "Tickets at the door, with and without a connection.",
}

TICKETS: Final = Listed(
    build, errors=ERRORS, tags=TAGS, rows=TICKET_BRANCHES, programs=(PRINTING_TICKETS,)
)
