"""`cinema serve`."""

from __future__ import annotations

import os
from contextlib import ExitStack

import uvloop

from cinema.app.serve import serve
from cinema.cli.database import running_database
from cinema.cli.report import report
from cinema.local.cluster.ports import refuse_used_ports
from cinema.local.stripe_double import running_double
from cinema.settings import (
    Settings,
    with_control_token,
    with_encryption_keys,
    with_jwt_secret,
    with_ticket_keys,
)


def run_serve(settings: Settings) -> None:
    """Serve until stopped: one node, or a local cluster of several."""
    # Checked before a database is made or started, because that takes much longer.
    refuse_used_ports(settings, os.environ)
    with running_database(settings) as (connected, postgres), ExitStack() as stack:
        own = with_encryption_keys(with_control_token(with_jwt_secret(connected)))
        own = with_ticket_keys(own)
        complete = stack.enter_context(running_double(own, report))
        if complete.nodes > 1:
            # The modules that it needs do not exist on every platform.
            from cinema.local.cluster.command import serve_cluster

            serve_cluster(complete, postgres, report)
        else:
            uvloop.run(serve(complete, report, postgres)).cancel()
