"""Wires a node's part in a cluster; part of the composition root."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from contextlib import AsyncExitStack

from cinema import __version__
from cinema.actors.kernel import Kernel
from cinema.cluster.link import ClusterSecrets
from cinema.cluster.node import ClusterNode, ClusterOptions
from cinema.cluster.unpaid_counts import UnpaidCounts
from cinema.domain.membership import Member
from cinema.settings import Settings, problems_of_cluster_secrets, signing_keys
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.terms import TermsSource
from cinema.storage.membership.views import PostgresViews
from cinema.storage.redis.address import RedisAddress
from cinema.storage.redis.channels import RedisChannels
from cinema.storage.redis.heartbeats import RedisHeartbeats


async def open_cluster(
    settings: Settings,
    pool: Pool,
    kernel: Kernel,
    journal: PostgresJournal,
    terms: TermsSource,
    stack: AsyncExitStack,
    redis: RedisAddress | None,
) -> ClusterNode | None:
    """This node's part in a cluster, listening on its port; None for a single node."""
    if redis is None:
        return None
    timeout_s = settings.heartbeat_timeout_ms / 1000
    loop = asyncio.get_running_loop()
    cluster = ClusterNode(
        kernel,
        secrets.token_bytes(16),
        ClusterOptions(
            secrets=ClusterSecrets(cluster_secrets(settings)), heartbeat_timeout_s=timeout_s
        ),
        beats=RedisHeartbeats(redis, timeout_s=timeout_s / 2),
        views=PostgresViews(pool, timeout_s=timeout_s / 2, has_standby=journal.has_standby),
        plans=terms,
        channels=RedisChannels(redis, timeout_s=timeout_s / 2),
        journal=journal,
        dial=loop.create_connection,
    )
    stack.push_async_callback(cluster.stop)
    unpaid = UnpaidCounts(
        kernel.unpaid, cluster.placement, cluster.peers, kernel.metrics.task_failures
    )
    unpaid.start()
    stack.push_async_callback(unpaid.stop)
    listener = await loop.create_server(cluster.accept, settings.host, settings.cluster_port)
    stack.callback(listener.close)
    cluster.cluster_port = listener.sockets[0].getsockname()[1]
    return cluster


def member_of(settings: Settings, cluster: ClusterNode, port: int) -> Member:
    """This node as a member of the cluster; it listens on `port`."""
    return Member(
        node_id=cluster.placement.node_id,
        host=settings.node_host or settings.host,
        port=settings.node_port or port,
        cluster_port=cluster.cluster_port,
        weight=settings.node_weight,
        software=__version__,
    )


def cluster_secrets(settings: Settings) -> list[bytes]:
    """The secrets of the nodes, given or derived; the signing key itself is never sent."""
    if settings.cluster_secret:
        return secrets_in(settings.cluster_secret)
    (key,) = [key.encode() for key in signing_keys(settings.jwt_secret_key)]
    return [hmac.digest(key, b"cinema node to node", "sha256")]


def secrets_in(text: str) -> list[bytes]:
    """The secrets of a `CLUSTER_SECRET`. Raises `ValueError` for one that is not valid."""
    for problem in problems_of_cluster_secrets(text):
        raise ValueError(problem)
    return [secret.encode() for secret in signing_keys(text)]
