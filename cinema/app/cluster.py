"""Wires a node's part in a cluster; part of the composition root."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from contextlib import AsyncExitStack

from cinema import __version__
from cinema.actors.kernel import Kernel
from cinema.cluster.node import ClusterNode, ClusterOptions
from cinema.cluster.unpaid_counts import UnpaidCounts
from cinema.domain.membership import Member
from cinema.settings import Settings, signing_keys
from cinema.storage.database.transactions import Pool
from cinema.storage.journal.postgres import PostgresJournal
from cinema.storage.journal.terms import TermsSource
from cinema.storage.membership.views import PostgresViews
from cinema.storage.redis.channels import RedisChannels
from cinema.storage.redis.heartbeats import RedisHeartbeats


async def open_cluster(
    settings: Settings,
    pool: Pool,
    kernel: Kernel,
    journal: PostgresJournal,
    terms: TermsSource,
    stack: AsyncExitStack,
) -> ClusterNode | None:
    """This node's part in a cluster, listening on its port; None for a single node."""
    if not settings.redis_url:
        return None
    timeout_s = settings.heartbeat_timeout_ms / 1000
    loop = asyncio.get_running_loop()
    cluster = ClusterNode(
        kernel,
        secrets.token_bytes(16),
        ClusterOptions(secret=cluster_secret(settings), heartbeat_timeout_s=timeout_s),
        beats=RedisHeartbeats(settings.redis_url, timeout_s=timeout_s / 2),
        views=PostgresViews(pool, timeout_s=timeout_s / 2),
        plans=terms,
        channels=RedisChannels(settings.redis_url, timeout_s=timeout_s / 2),
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


def cluster_secret(settings: Settings) -> bytes:
    """The secret of the nodes, given or derived; the signing key itself is never sent."""
    if settings.cluster_secret:
        return settings.cluster_secret.encode()
    (key,) = [key.encode() for key in signing_keys(settings.jwt_secret_key)]
    return hmac.digest(key, b"cinema node to node", "sha256")
