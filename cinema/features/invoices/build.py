"""How this feature is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from cinema.features.bookings.mail_jobs import RECEIPT_MESSAGE
from cinema.features.bookings.order_service import OrdersService
from cinema.features.feature import Feature
from cinema.features.invoices import routes as invoice_routes
from cinema.features.invoices.checking_jobs import Checking
from cinema.features.invoices.checking_store import ChecksRepository
from cinema.features.invoices.errors import ERRORS
from cinema.features.invoices.jobs import Issuing
from cinema.features.invoices.metrics import CheckCounts, InvoiceCounts
from cinema.features.invoices.personal_store import InvoiceFacts
from cinema.features.invoices.routes import InvoiceParts
from cinema.features.invoices.rows import INVOICE_BRANCHES
from cinema.features.invoices.service import PROGRAM as PRINTING_DOCUMENTS
from cinema.features.invoices.service import InvoicesService
from cinema.features.invoices.store import IS_DUE as INVOICES_DUE
from cinema.features.invoices.store import InvoicesRepository
from cinema.features.messages.jobs import Outgoing
from cinema.features.messages.letters import Enclosure
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound
from cinema.integrations.forks import ForkServer


async def build(node: NodeParts, offered: Offered) -> Feature:
    now = node.common_time
    store = InvoicesRepository(
        node.pool,
        node.sold,
        new_id=node.next_uuid,
        now=now,
    )
    counts, checked = InvoiceCounts(), CheckCounts()
    invoices = InvoicesService(store, offered[ForkServer])
    checking = Checking(ChecksRepository(node.pool), store, checked, now=now)

    async def enclose(receipt: Mapping[str, Any], language: str) -> Sequence[Enclosure]:
        return await invoices.enclosed(UUID(receipt["booking_id"]), language)

    offered[Outgoing].enclose(RECEIPT_MESSAGE, enclose, never_without=True)
    return Feature(
        routes=bound(
            invoice_routes.ROUTES, InvoiceParts(invoices, offered[OrdersService], node.proxies)
        ),
        metrics=(counts.families, checked.families),
        personal=(InvoiceFacts(node.pool, invoices.pdf).disclose,),
        tasks={
            "invoices": Issuing(store, counts, now=now, rest=node.rest(INVOICES_DUE, now)).run,
            "invoice-checks": checking.run,
        },
    )


TAGS: Final = {
    "Invoices": "Numbered documents of what was sold and given back; they never change.",
}

INVOICES: Final = Listed(
    build, errors=ERRORS, tags=TAGS, rows=INVOICE_BRANCHES, programs=(PRINTING_DOCUMENTS,)
)
