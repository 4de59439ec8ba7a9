"""The composition root's part for the control endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from cinema import __version__
from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.cluster.node import ClusterNode
from cinema.http.control import control_routes, document_route
from cinema.http.control_actions import action_routes
from cinema.http.control_audit import Audit
from cinema.http.control_auth import OperatorTokens, text_of
from cinema.http.control_history import history_routes
from cinema.http.control_interventions import intervention_routes
from cinema.http.metrics import Metrics
from cinema.http.server import Edge, control_options
from cinema.logging import LogSink, log_level, set_log_level
from cinema.services.control import ControlService
from cinema.services.control_cluster import TOPIC, Alone, Together
from cinema.services.control_node import ControlNode, LogLevels
from cinema.services.history import HistoryService
from cinema.services.interventions import InterventionService
from cinema.settings import Settings, announce, withdraw
from cinema.storage.journal_postgres import PostgresJournal
from cinema.storage.terms import TermsSource

CONTROL_STARTED: Final = "control_started"
CONTROL_OFF: Final = "control_off"
CONTROL_UNANNOUNCED: Final = "control_unannounced"

GRACE_S: Final = 1.0
"""How long a stop waits for the last answers, after all else has ended."""

log = structlog.get_logger()


class Control:
    """The control endpoint of a node; without `CONTROL_TOKEN` it only answers the other nodes.

    `drain` has the node stop as a signal does.
    """

    def __init__(
        self,
        settings: Settings,
        kernel: Kernel,
        cluster: ClusterNode | None,
        journal: PostgresJournal,
        terms: TermsSource,
        sink: LogSink,
        drain: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._alone = Alone(settings.node_host or settings.host)
        known = self._alone if cluster is None else Together(cluster)
        self.node_id = known.node_id
        dispatch: Dispatch = kernel if cluster is None else cluster.router
        node = ControlNode(
            kernel,
            known,
            version=__version__,
            drain=drain,
            log_levels=LogLevels(current=log_level, change=set_log_level),
        )
        service = ControlService(node, known, journal, terms)
        if cluster is not None:
            cluster.peers.answer(TOPIC, service.answer_peer)
        self.edge: Edge | None = None
        self._note: Path | None = None
        if settings.control_token:
            given = settings.control_token
            operators = OperatorTokens(given, text_of(given.file) if given.file else None)
            self.edge = Edge(
                control_options(settings),
                verify_token=operators.verify,
                operators=operators,
                metrics=Metrics(),
                write_log=sink.write,
            )
            audit = Audit(self.edge.proxies, operators.name_of)
            routes = (
                *control_routes(service),
                *action_routes(service, audit),
                *history_routes(HistoryService(journal, terms, dispatch.read_seats, kernel.clock)),
                *intervention_routes(InterventionService(dispatch), audit),
            )
            self.edge.add_routes((*routes, document_route(routes, version=__version__)))

    def serves_on(self, port: int) -> None:
        """Note where the API listens, which names a node that is alone."""
        self._alone.listens_on(self._settings.node_port or port)

    async def start(self) -> int | None:
        """Listen, and note in `DATA_DIR` where; the port, None without an endpoint."""
        if self.edge is None:
            log.info(CONTROL_OFF)
            return None
        host = self._settings.control_host
        port = await self.edge.start(host, self._settings.control_port)
        log.info(CONTROL_STARTED, host=host, port=port)
        try:
            self._note = announce(self._settings.data_dir, host, port)
        except OSError as error:
            log.warning(CONTROL_UNANNOUNCED, reason=str(error))
        return port

    async def stop(self) -> None:
        """Stop listening; the last of all, so that operators may look on."""
        if self._note is not None:
            withdraw(self._note)
        if self.edge is not None:
            await self.edge.stop(GRACE_S)
