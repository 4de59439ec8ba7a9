"""How this feature is built."""

from __future__ import annotations

from typing import Final

from cinema.features.feature import Feature, Question
from cinema.features.ledger import routes as ledger_routes
from cinema.features.ledger.errors import ERRORS
from cinema.features.ledger.left_jobs import LeftAside
from cinema.features.ledger.methods import MethodRegistry
from cinema.features.ledger.metrics import RefundCounts
from cinema.features.ledger.refund_jobs import RefundQueue
from cinema.features.ledger.refund_store import DUE as REFUNDS_DUE
from cinema.features.ledger.refund_store import RefundsRepository
from cinema.features.ledger.rows import LEDGER_BRANCHES
from cinema.features.ledger.service import AttemptsService, LedgerService
from cinema.features.ledger.store import AttemptsRepository, LedgerRepository
from cinema.features.node_parts import Listed, NodeParts, Offered
from cinema.http.routes import bound


async def build(node: NodeParts, offered: Offered) -> Feature:
    methods = MethodRegistry(demo=node.settings.demo_payment)
    attempts = AttemptsRepository(node.pool)
    refunds = offered.add(RefundsRepository(node.pool, node.sold))
    ledger, counts = LedgerRepository(node.pool, node.sold), RefundCounts()
    offered.add(
        AttemptsService(node.dispatch, attempts, refunds, methods, counts, next_id=node.next_id)
    )
    queue = RefundQueue(refunds, attempts, methods, counts, now=node.common_time)
    return Feature(
        routes=bound(ledger_routes.ROUTES, LedgerService(ledger)),
        metrics=(counts.families,),
        tasks={"put-aside-left": LeftAside(attempts, now=node.common_time).run},
        sweeps={"recognised-revenue": ledger.recognise},
        queues={"refunds": queue},
        questions={"refunds": Question(REFUNDS_DUE, (node.common_time,))},
    )


LEDGER: Final = Listed(build, errors=ERRORS, rows=LEDGER_BRANCHES)
