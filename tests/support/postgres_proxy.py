"""A man in the middle between the server and Postgres who knows one statement from another.

It follows the wire protocol just as far as needed to say which statement a message belongs to
and when that statement is complete. Its tricks are those of a bad network: an answer is lost
after the statement took effect, a statement arrives long after its sender has given up, an answer
is late, connections break or are refused, everything takes its time.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", Message Formats.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from struct import pack, unpack_from

APPEND = "insert into showtime_journal"
TAKE_OVER = "set epoch = h.epoch + 1"
LOAD = "cross join lateral"

_STARTUP_CODES = {80877103: "ssl", 80877104: "gssenc"}
_CANCEL = 80877102
_BROKEN = (OSError, asyncio.IncompleteReadError)


class Fault(Enum):
    """What happens to one statement."""

    LOSE_ANSWER = "executed, then the connection breaks before the answer passes"
    HOLD_BACK = "kept, the client's connection breaks; `Caught.deliver` sends it to Postgres"
    STALL_ANSWER = "executed, the answer waits for `Caught.deliver`"
    STALL = "kept without a word until `Caught.deliver`"


_COMPLETED = frozenset({b"S", b"Q"})
_ENDS_GROUP = _COMPLETED | {b"H", b"X"}  # Flush and Terminate
_KEEPING = frozenset({Fault.HOLD_BACK, Fault.STALL})


class Caught:
    """A fault that was ordered: `happened` once it struck, `finished` once Postgres had it."""

    def __init__(self, statement: str, fault: Fault) -> None:
        self.statement = statement
        self.fault = fault
        self.happened = asyncio.Event()
        self.finished = asyncio.Event()
        self.released = asyncio.Event()
        self.tag = ""

    async def deliver(self) -> str:
        """Let it go on; the tag of its completion, or "" if it failed."""
        self.released.set()
        await self.finished.wait()
        return self.tag


class PostgresProxy:
    """Listens on loopback; `dsn` leads through it to the Postgres behind the unix socket."""

    def __init__(self, socket_folder: Path, database: str, user: str) -> None:
        self.socket_folder = socket_folder
        self._upstream = socket_folder / ".s.PGSQL.5432"
        self._database = database
        self._user = user
        self._listener: socket.socket | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._port = 0
        self._links: set[_Link] = set()
        self._orders: list[Caught] = []
        self._chaos: tuple[random.Random, float] | None = None
        self.delay_s = 0.0
        self.statements = 0
        self.faults_done = 0

    @property
    def dsn(self) -> str:
        """The address for DATABASE_URL."""
        return f"postgresql://{self._user}@127.0.0.1:{self._port}/{self._database}?sslmode=disable"

    async def listen(self) -> None:
        """Take connections, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._listener.setblocking(False)
        self._port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def refuse(self) -> None:
        """Refuse connections from now on, and break those there are."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        for link in list(self._links):
            link.cut()

    def announce_shutdown(self) -> None:
        """Tell every client that Postgres ends its connection, and end none yet."""
        for link in list(self._links):
            link.announce_shutdown()

    def order(self, statement: str, fault: Fault) -> Caught:
        """Do this to the next statement that contains this text."""
        caught = Caught(statement, fault)
        self._orders.append(caught)
        return caught

    def forget(self, order: Caught) -> None:
        """Take back an order that nothing has met."""
        self._orders.remove(order)

    def cause_chaos(self, draw: random.Random, share: float) -> None:
        """Do something bad to this share of all statements; 0 for none any more."""
        self._chaos = (draw, share) if share else None

    def slow_down(self, delay_s: float) -> None:
        """Keep every statement this long before it goes on; 0 for as fast as can be."""
        self.delay_s = delay_s

    def caught(self, statement: str) -> Caught | None:
        """What to do with a statement that is about to be executed."""
        self.statements += 1
        for order in self._orders:
            if order.statement in statement:
                self._orders.remove(order)
                return order
        if self._chaos is None:
            return None
        draw, share = self._chaos
        if draw.random() >= share:
            return None
        self.faults_done += 1
        caught = Caught(statement, draw.choice((Fault.LOSE_ANSWER, Fault.HOLD_BACK, Fault.STALL)))
        # Late, but within what any run waits; how late is the dice's.
        asyncio.get_running_loop().call_later(draw.uniform(0, 0.5), caught.released.set)
        return caught

    def _accept(self) -> None:
        """Like `asyncio.start_server`, whose end leaves open what it has just accepted."""
        assert self._listener is not None
        with suppress(BlockingIOError):
            connection, _ = self._listener.accept()
            # asyncio does this for sockets that it has made itself.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serving = asyncio.create_task(self._take(connection), name="proxy-link")
            self._serving.add(serving)
            serving.add_done_callback(self._serving.discard)

    async def _take(self, connection: socket.socket) -> None:
        await self._serve(*await asyncio.open_connection(sock=connection))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        self._links.add(link)
        try:
            await link.run(self._upstream)
        finally:
            self._links.discard(link)

    async def close(self) -> None:
        """Break everything and wait until it is over."""
        self._chaos = None
        for order in self._orders:
            order.released.set()
        self.refuse()
        while self._serving:
            for link in list(self._links):
                link.cut(late_too=True)
            await asyncio.sleep(0.01)


class _Link:
    """One client's connection and its own to Postgres."""

    def __init__(
        self, proxy: PostgresProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._from_client = reader
        self._to_client = writer
        self._to_server: asyncio.StreamWriter | None = None
        self._queries: dict[bytes, str] = {}
        self._in_flight: deque[Caught | None] = deque()
        self._muted = False

    def cut(self, *, late_too: bool = False) -> None:
        """Break both sides; a statement that is kept for later keeps its way to Postgres."""
        self._to_client.transport.abort()
        if self._to_server is not None and (late_too or not self._kept()):
            self._to_server.transport.abort()

    def announce_shutdown(self) -> None:
        """What Postgres sends before it closes a connection; nothing more comes after it."""
        fields = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0"
        self._muted = True
        self._to_client.write(b"E" + pack("!i", 4 + len(fields)) + fields)

    async def run(self, upstream: Path) -> None:
        """Pass messages on until either side ends, and what is kept has had its time."""
        tasks: list[asyncio.Task[None]] = []
        try:
            from_server, self._to_server = await asyncio.open_unix_connection(str(upstream))
            await self._start_up()
            up = asyncio.create_task(self._pass_requests(), name="proxy-requests")
            down = asyncio.create_task(self._pass_answers(from_server), name="proxy-answers")
            tasks = [up, down]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for caught in self._kept():
                ended = asyncio.create_task(caught.finished.wait())
                await asyncio.wait((ended, down), return_when=asyncio.FIRST_COMPLETED)
                ended.cancel()
        except _BROKEN:
            pass
        finally:
            self.cut(late_too=True)
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, *_BROKEN):
                    await task
            for left in self._in_flight:
                if left is not None:
                    left.finished.set()

    def _kept(self) -> list[Caught]:
        return [one for one in self._in_flight if one is not None and one.fault in _KEEPING]

    async def _start_up(self) -> None:
        """The first message has no type; encryption is declined, a cancellation just passed on."""
        assert self._to_server is not None
        while True:
            head = await self._from_client.readexactly(8)
            length, code = unpack_from("!ii", head)
            rest = await self._from_client.readexactly(length - 8)
            if code not in _STARTUP_CODES:
                self._to_server.write(head + rest)
                return
            self._to_client.write(b"N")

    async def _pass_requests(self) -> None:
        """Client to Postgres: a group of messages, up to its Sync, is one statement for us."""
        assert self._to_server is not None
        group = bytearray()
        executes = ""
        while True:
            kind, message = await _message(self._from_client)
            group += message
            if kind == b"P":
                name, query, _ = message[5:].split(b"\0", 2)
                self._queries[name] = query.decode()
            elif kind == b"B":
                executes = self._queries.get(message[5:].split(b"\0", 2)[1], "")
            elif kind == b"Q":
                executes = message[5:-1].decode()
            if kind not in _ENDS_GROUP:
                continue
            # Only Sync and Query are answered by ReadyForQuery, which completes a statement.
            if kind in _COMPLETED:
                caught = self._proxy.caught(executes) if executes else None
                self._in_flight.append(caught)
                await self._before(caught)
                if self._proxy.delay_s:
                    await asyncio.sleep(self._proxy.delay_s)
            self._to_server.write(bytes(group))
            await self._to_server.drain()
            group.clear()
            executes = ""

    async def _before(self, caught: Caught | None) -> None:
        if caught is None or caught.fault not in _KEEPING:
            return
        caught.happened.set()
        if caught.fault is Fault.HOLD_BACK:
            self._to_client.transport.abort()
        await caught.released.wait()

    async def _pass_answers(self, from_server: asyncio.StreamReader) -> None:
        """Postgres to client: ReadyForQuery completes the oldest group in flight."""
        answer = bytearray()
        tag = ""
        while True:
            kind, message = await _message(from_server)
            answer += message
            if kind == b"C":
                tag = message[5:-1].decode()
            elif kind == b"E":
                tag = ""
            if self._in_flight and self._in_flight[0] is not None and kind != b"Z":
                continue
            caught = self._in_flight.popleft() if kind == b"Z" and self._in_flight else None
            if caught is not None and not await self._after(caught, tag):
                return
            if not self._muted and not self._to_client.is_closing():
                self._to_client.write(bytes(answer))
            answer.clear()
            with suppress(OSError):
                await self._to_client.drain()

    async def _after(self, caught: Caught, tag: str) -> bool:
        """Whether the answer may pass."""
        caught.tag = tag
        caught.finished.set()
        if caught.fault in {Fault.LOSE_ANSWER, Fault.HOLD_BACK}:
            caught.happened.set()
            self.cut()
            return False
        if caught.fault is Fault.STALL_ANSWER:
            caught.happened.set()
            await caught.released.wait()
        return True


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    (length,) = unpack_from("!i", head, 1)
    return head[:1], head + await reader.readexactly(length - 4)


@asynccontextmanager
async def proxied(socket_folder: Path, database: str, user: str) -> AsyncIterator[PostgresProxy]:
    """A proxy for as long as the body runs."""
    proxy = PostgresProxy(socket_folder, database, user)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.close()
