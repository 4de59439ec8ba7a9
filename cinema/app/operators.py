"""The composition root's part for the control endpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from cinema import __version__
from cinema.actors.dispatch import Dispatch
from cinema.actors.kernel import Kernel
from cinema.app.features import ERRORS
from cinema.cluster.node import ClusterNode
from cinema.features.operations import action_routes, history_routes, intervention_routes
from cinema.features.operations import routes as control_routes
from cinema.features.operations.action_routes import ActionParts
from cinema.features.operations.audit import Audit
from cinema.features.operations.cluster import TOPIC, Alone, Together
from cinema.features.operations.history import HistoryService
from cinema.features.operations.intervention_routes import InterventionParts
from cinema.features.operations.interventions import InterventionService
from cinema.features.operations.node import ControlNode, LogLevels, Traffic
from cinema.features.operations.routes import ControlDocument
from cinema.features.operations.service import ControlService
from cinema.features.operations.token import OperatorTokens, ProvingWriter, text_of
from cinema.features.owned import SHOWTIMES
from cinema.features.watching.hub import WatchHub
from cinema.http.routes import bound
from cinema.http.server import Edge, control_options
from cinema.settings import Settings, announce, withdraw
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.terms import TermsSource
from cinema.telemetry.logging import LogSink, log_level, set_log_level
from cinema.telemetry.metrics import Metrics

CONTROL_STARTED: Final = "control_started"
CONTROL_OFF: Final = "control_off"
CONTROL_UNANNOUNCED: Final = "control_unannounced"

GRACE_S: Final = 1.0
"""How long a stop waits for the last answers, after everything else has ended."""

log = structlog.get_logger()


class Control:
    """The control endpoint of a node; without `CONTROL_TOKEN` it only answers the other nodes.

    `drain` stops the node as a signal does.
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
        dispatch: Dispatch = kernel if cluster is None else cluster.forwarder
        node = self._node = ControlNode(
            kernel,
            known,
            version=__version__,
            drain=drain,
            log_levels=LogLevels(current=log_level, change=set_log_level),
        )
        service = self.service = ControlService(node, known, journal, terms)
        if cluster is not None:
            cluster.peers.answer(TOPIC, service.answer_peer)
        self.edge: Edge | None = None
        self._note: Path | None = None
        if settings.control_token:
            given = settings.control_token
            operators = OperatorTokens(given, text_of(given.file) if given.file else None)
            options = control_options(settings)
            self.edge = Edge(
                options,
                errors=ERRORS,
                verify_token=operators.verify,
                signatures=operators,
                writer=ProvingWriter(operators, hsts=options.require_https),
                metrics=Metrics(),
                write_log=sink.write,
                owned=SHOWTIMES,
            )
            audit = Audit(self.edge.proxies, operators.name_of)
            history = HistoryService(journal, terms, dispatch.read_seats, kernel.clock)
            interventions = InterventionParts(InterventionService(dispatch), audit)
            routes = (
                *bound(control_routes.ROUTES, service),
                *bound(action_routes.ROUTES, ActionParts(service, audit)),
                *bound(history_routes.ROUTES, history),
                *bound(intervention_routes.ROUTES, interventions),
            )
            document = ControlDocument(routes, ERRORS, version=__version__)
            self.edge.add_routes((*routes, *bound(control_routes.DOCUMENT_ROUTES, document)))

    def count(self, metrics: Metrics, hub: WatchHub) -> None:
        """Report also what goes on between this node and its clients."""

        def traffic() -> Traffic:
            requests, errors = metrics.answered()
            return Traffic(watchers=hub.socket_count, requests=requests, errors=errors)

        self._node.traffic = traffic

    def serves_on(self, port: int) -> None:
        """Note where the API listens; a single node has that address as its name."""
        self._alone.listens_on(self._settings.node_port or port)

    async def start(self) -> int | None:
        """Listen, and write the address into `DATA_DIR`; the port is None without an endpoint."""
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
        """Stop listening, after everything else, so that operators can watch the stop."""
        if self._note is not None:
            withdraw(self._note)
        if self.edge is not None:
            await self.edge.stop(GRACE_S)
