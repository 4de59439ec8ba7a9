"""Sending to receivers that answer slowly, redirect, lie, or are not where they should be."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from cinema.integrations.webhooks.networks import networks
from cinema.integrations.webhooks.sender import (
    ANSWER_LIMIT_BYTES,
    USER_AGENT,
    NotDelivered,
    WebhookSender,
)
from tests.support.receivers import HOST, Received, raw_receiver, receiver

LOOPBACK = networks(["127.0.0.0/8"])
BODY = b'{"type": "x"}'
HEADERS = {"webhook-id": "1"}
PATIENCE_S = 10.0


@pytest.fixture
async def sender() -> AsyncIterator[WebhookSender]:
    one = WebhookSender(LOOPBACK, timeout_s=PATIENCE_S)
    yield one
    one.close()


async def refused(sender: WebhookSender, url: str) -> NotDelivered:
    with pytest.raises(NotDelivered) as error:
        await sender.send(url, HEADERS, BODY)
    return error.value


async def test_a_receiver_gets_the_body_as_it_is(sender: WebhookSender) -> None:
    async with receiver() as one:
        assert await sender.send(one.url, HEADERS, BODY) == 204
        (received,) = one.received
    assert received.body == BODY
    assert received.headers["webhook-id"] == "1"
    assert received.headers["Content-Type"] == "application/json"
    assert received.headers["User-Agent"] == USER_AGENT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(sender: WebhookSender, status: int) -> None:
    async with receiver() as other, receiver() as one:
        one.answer = lambda _: web.Response(status=status, headers={"Location": other.url})
        error = await refused(sender, one.url)
        assert (error.status, other.received) == (status, [])
    assert "redirects" in str(error)


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_what_is_no_success_is_no_delivery(sender: WebhookSender, status: int) -> None:
    async with receiver() as one:
        one.answer = lambda _: web.Response(status=status)
        assert (await refused(sender, one.url)).status == status


async def test_nobody_there_is_no_delivery(sender: WebhookSender) -> None:
    async with receiver() as one:
        url = one.url
    assert str(await refused(sender, url)) == "ClientConnectorError"


async def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    sender = WebhookSender(LOOPBACK, timeout_s=0.2)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def in_drops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        await writer.drain()
        await reader.read()

    async def only_soon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await writer.drain()
        await reader.read()

    for speak in (silent, in_drops, only_soon):
        async with raw_receiver(speak) as url:
            assert "no whole answer" in str(await refused(sender, url))
    sender.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 20_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"",
    ],
    ids=["too-short", "broken-off", "no-chunk", "negative", "long-header", "not-http", "nothing"],
)
async def test_an_answer_that_lies_is_no_delivery(sender: WebhookSender, answer: bytes) -> None:
    async def lie(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_receiver(lie) as url:
        await refused(sender, url)


async def test_of_a_long_answer_no_more_is_read_than_the_limit(sender: WebhookSender) -> None:
    """A body without an end: read to the limit, then the connection is cut."""
    cut = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            cut.set()

    async with raw_receiver(pour) as url:
        assert await sender.send(url, HEADERS, BODY) == 200
        async with asyncio.timeout(PATIENCE_S):
            await cut.wait()
    assert ANSWER_LIMIT_BYTES == 256 * 1024


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "https://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "https://localhost:{port}/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.0.0.1:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://127.0.0.1.:{port}/",
        "http://LOCALHOST:{port}/",
        "http://①②⑦.⓪.⓪.①:{port}/",
    ],
)
async def test_nothing_reaches_this_machine_however_it_is_written(url: str) -> None:
    sender = WebhookSender(timeout_s=PATIENCE_S)
    async with receiver() as one:
        await refused(sender, url.format(port=one.port))
        assert one.received == []
    sender.close()


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "x", "http://", "https://[::"])
async def test_what_is_no_address_of_the_web_is_refused(sender: WebhookSender, url: str) -> None:
    await refused(sender, url)


class Names:
    """A name server that answers each question with the next of its answers."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0)


async def test_the_address_that_was_looked_at_is_the_one_that_is_connected() -> None:
    """The name is asked for once: a second answer, to somewhere else, would come too late."""
    names = Names([HOST], ["10.0.0.1"])
    sender = WebhookSender(LOOPBACK, resolve=names.resolve, timeout_s=PATIENCE_S)
    async with receiver() as one:
        url = f"http://partner.example:{one.port}/events"
        assert await sender.send(url, HEADERS, BODY) == 204
        assert one.received[0].headers["Host"] == f"partner.example:{one.port}"
    assert names.asked == ["partner.example"]
    sender.close()


async def test_a_name_that_leads_inside_is_refused_and_a_good_address_is_taken() -> None:
    inside = Names(["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
    assert "no address that may be connected" in str(
        await refused(WebhookSender(resolve=inside.resolve), "https://partner.example/")
    )
    mixed = Names(["10.0.0.1", HOST])
    sender = WebhookSender(LOOPBACK, resolve=mixed.resolve, timeout_s=PATIENCE_S)
    async with receiver() as one:
        assert await sender.send(f"http://partner.example:{one.port}/", HEADERS, BODY) == 204


async def test_without_tls_a_public_address_is_not_connected() -> None:
    names = Names(["93.184.216.34"])
    sender = WebhookSender(LOOPBACK, resolve=names.resolve)
    assert "no address that may be connected" in str(
        await refused(sender, "http://partner.example/")
    )


async def test_a_name_that_nobody_knows_is_no_delivery(sender: WebhookSender) -> None:
    assert "no address" in str(await refused(sender, "https://partner.invalid/"))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key, and a certificate of `partner.example` that trusts itself."""
    key, made = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=partner.example"),
            *("-addext", "subjectAltName=DNS:partner.example"),
            *("-keyout", str(key), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return key, made


async def test_the_certificate_is_checked_by_the_name_and_not_by_the_address(
    certificate: tuple[Path, Path],
) -> None:
    key, made = certificate
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(made, key)
    trusted = ssl.create_default_context(cafile=str(made))
    names = Names([HOST], [HOST], [HOST])
    sender = WebhookSender(LOOPBACK, resolve=names.resolve, trusted=trusted, timeout_s=PATIENCE_S)
    stranger = WebhookSender(LOOPBACK, resolve=names.resolve, timeout_s=PATIENCE_S)
    async with receiver(ssl_context=serving) as one:
        assert await sender.send(f"https://partner.example:{one.port}/", HEADERS, BODY) == 204
        for sends, host in ((sender, "other.example"), (stranger, "partner.example")):
            error = await refused(sends, f"https://{host}:{one.port}/")
            assert str(error) == "the certificate is not valid for this host"
        assert len(one.received) == 1


async def test_a_slow_receiver_keeps_no_other(sender: WebhookSender) -> None:
    release = asyncio.Event()

    async def wait(_received: Received) -> web.Response:
        await release.wait()
        return web.Response(status=204)

    async with receiver() as slow, receiver() as fast:
        slow.answer = wait
        waiting = asyncio.create_task(sender.send(slow.url, HEADERS, BODY))
        await slow.until(1)
        assert await sender.send(fast.url, HEADERS, BODY) == 204
        assert not waiting.done()
        release.set()
        assert await waiting == 204
