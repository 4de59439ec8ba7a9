"""One POST to a receiver whose address a stranger has named.

The host is resolved once, each address that comes of it is looked at, and one of those is
connected: a name that resolves to something else a moment later gains nothing. Redirects are not
followed. The answer says nothing but its status: of its body nothing is kept, and at most
`ANSWER_LIMIT_BYTES` are read.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from cinema.integrations.webhooks.networks import Network, is_allowed, is_within

TIMEOUT_S: Final = 10.0
"""For everything: the name, the connection, TLS, the request and the whole answer."""

ANSWER_LIMIT_BYTES: Final = 256 * 1024

RESOLVING_AT_ONCE: Final = 8
"""Threads that wait for name servers; their own, so that a slow one holds up nothing else."""

USER_AGENT: Final = "cinema-webhooks/1"

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises `OSError`."""


class NotDelivered(Exception):
    """The receiver has not said that it has it; `status` is what it said instead, if anything."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class WebhookSender:
    """Sends to public addresses, and to those in `allowed`; only there also without TLS."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        resolve: Resolve | None = None,
        trusted: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._allowed = tuple(allowed)
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, thread_name_prefix="webhook-names")
        self._resolve = resolve or self._look_up
        self._trusted = trusted
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Look up no more names."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Send a body; the status of 2xx that the receiver answers. Raises `NotDelivered`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(URL(url), headers, body)
        except TimeoutError:
            raise NotDelivered(f"no whole answer in {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NotDelivered(_reason(error)) from None

    async def _send(self, url: URL, headers: Mapping[str, str], body: bytes) -> int:
        address = await self._address(url)
        tls = await self._tls() if url.scheme == "https" else True
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(address), use_dns_cache=False, limit=1, ssl=tls
        )
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                # Our own timeout is around everything.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            ) as session,
            session.post(
                url,
                data=body,
                headers={**headers, "User-Agent": USER_AGENT, "Content-Type": "application/json"},
                allow_redirects=False,
            ) as answer,
        ):
            if not 200 <= answer.status < 300:
                what = (
                    "redirects, which is not followed" if 300 <= answer.status < 400 else "refuses"
                )
                raise NotDelivered(f"the receiver {what}: {answer.status}", answer.status)
            await _read(answer)
            return answer.status

    async def _address(self, url: URL) -> str:
        """The address to connect to. Raises `NotDelivered`, `OSError`."""
        host, port = url.raw_host, url.port
        if not host or port is None or url.scheme not in {"http", "https"}:
            raise NotDelivered("this is not a web address")
        found = await self._resolve(host, port)
        for address in found:
            if url.scheme == "http" and not is_within(address, self._allowed):
                continue
            if is_allowed(address, self._allowed):
                return address
        raise NotDelivered("the host has no address that may be connected")

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _addresses, host, port)

    async def _tls(self) -> ssl.SSLContext:
        if self._trusted is None:
            # To read the roots of the system takes too long for the loop.
            self._trusted = await asyncio.to_thread(ssl.create_default_context)
        return self._trusted


class _Pinned(AbstractResolver):
    """Knows one address, whatever the name; aiohttp still checks certificates by the name."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  (the address has its own)
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`."""
        is_v6 = ":" in self._address
        return [
            ResolveResult(
                hostname=host,
                host=self._address,
                port=port,
                family=socket.AF_INET6 if is_v6 else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """See `AbstractResolver.close`."""


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


async def _read(answer: aiohttp.ClientResponse) -> None:
    """Read the body, so that an answer that breaks off is no answer; not more than the limit."""
    size = 0
    async for piece in answer.content.iter_any():
        size += len(piece)
        if size > ANSWER_LIMIT_BYTES:
            return


def _reason(error: Exception) -> str:
    """What to tell of an error: its kind, and what it says about our side only."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the certificate is not valid for this host"
    if isinstance(error, socket.gaierror):
        return "the host has no address"
    return type(error).__name__
