"""Watchers that reconnect when they are told to, and see to it that they missed nothing."""

import asyncio
import time
from collections.abc import Mapping

import msgspec

from benchmarks.load.frames import UPGRADE_HEADERS
from benchmarks.load.http import format_request
from benchmarks.load.websocket import WebSocketClient

RECONNECT_S = 0.05
"""Pause after a connection that could not be made."""

POLL_S = 0.02

ABNORMAL = 1006
"""RFC 6455's code for a connection that ended without a close frame."""


class _Frame(msgspec.Struct, gc=False):
    type: str
    epoch: int = 0
    prev_seq: int = -1
    seq: int = 0
    taken: dict[str, str] = {}
    changes: dict[str, str] = {}


_decode_frame = msgspec.json.Decoder(_Frame).decode


class Viewer:
    """One who watches a showtime: the seats as shown by all frames so far."""

    def __init__(self, showtime: str) -> None:
        self.showtime = showtime
        self.taken: dict[str, str] = {}
        self.epoch = 0
        self.seq = -1
        self.gaps: list[str] = []
        self.snapshots = 0
        self.begun = asyncio.Event()
        self._waiting = True

    @property
    def since(self) -> str:
        """What to ask for on connecting again."""
        return f"?since={self.epoch}:{self.seq}" if self.seq >= 0 else ""

    def show(self, payload: bytes) -> None:
        """Apply a frame, as docs/watch.md tells clients to."""
        frame = _decode_frame(payload)
        if frame.type == "snapshot":
            self.snapshots += 1
            if frame.seq < self.seq:
                self.gaps.append(f"a snapshot of {frame.seq} after {self.seq}")
            self.taken = dict(frame.taken)
            self._waiting = False
        elif frame.type == "delta":
            if self._waiting and frame.prev_seq != self.seq:
                return
            if frame.prev_seq != self.seq or frame.epoch < self.epoch:
                self.gaps.append(f"{frame.epoch}:{frame.prev_seq} after {self.epoch}:{self.seq}")
            self._waiting = False
            for label, status in frame.changes.items():
                if status == "available":
                    self.taken.pop(label, None)
                else:
                    self.taken[label] = status
        else:
            self._waiting = True
            return
        self.epoch, self.seq = frame.epoch, frame.seq
        self.begun.set()


class _Socket(WebSocketClient):
    """One connection of a viewer."""

    def __init__(self, upgrade: bytes, viewer: Viewer, audience: "Audience") -> None:
        super().__init__(upgrade)
        self._viewer = viewer
        self._audience = audience
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def messages(self, payloads: list[bytes]) -> None:
        for payload in payloads:
            self._audience.frames += 1
            self._viewer.show(payload)
        if not self.ready.done():
            self.ready.set_result(None)

    def lost(self) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


class Audience:
    """All viewers of a run, and which changes they have to be shown."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._viewers: list[Viewer] = []
        self._tasks: list[asyncio.Future[None]] = []
        self._last_seq: dict[str, int] = {}
        self.close_codes: dict[str, int] = {}
        self.resumed = 0
        self.frames = 0
        self._failed: list[str] = []

    @property
    def snapshots(self) -> int:
        """Snapshots after the first one of each viewer."""
        return sum(viewer.snapshots - 1 for viewer in self._viewers)

    async def open(self, showtimes: list[str], viewers: int) -> None:
        """Begin to watch, each showtime in turn; returns when each has its first snapshot."""
        self._viewers = [Viewer(showtimes[number % len(showtimes)]) for number in range(viewers)]
        self._tasks = [asyncio.ensure_future(self._watch(viewer)) for viewer in self._viewers]
        for viewer in self._viewers:
            await viewer.begun.wait()

    def changed(self, showtime: str, seq: int) -> None:
        """A change was acknowledged: every viewer of the showtime has to see it."""
        self._last_seq[showtime] = max(seq, self._last_seq.get(showtime, 0))

    async def caught_up(self, wait_s: float) -> None:
        """Wait until all were shown all, but not for longer than this."""
        give_up_s = time.monotonic() + wait_s
        while time.monotonic() < give_up_s:
            if all(
                viewer.seq >= self._last_seq.get(viewer.showtime, 0) for viewer in self._viewers
            ):
                return
            await asyncio.sleep(POLL_S)

    def missed(self, maps: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What is wrong with what the viewers saw; `maps` are the seats that are taken now."""
        wrong = list(self._failed)
        for viewer in self._viewers:
            wrong.extend(f"{viewer.showtime}: {gap}" for gap in viewer.gaps)
            last = self._last_seq.get(viewer.showtime, 0)
            if viewer.seq < last:
                wrong.append(f"{viewer.showtime}: shown up to {viewer.seq}, it is at {last}")
            elif viewer.taken != maps[viewer.showtime]:
                wrong.append(
                    f"{viewer.showtime} at {viewer.seq}: shown {viewer.taken}, "
                    f"it is {maps[viewer.showtime]}"
                )
        return wrong

    def close(self) -> None:
        """Leave."""
        for task in self._tasks:
            task.cancel()

    async def _watch(self, viewer: Viewer) -> None:
        loop = asyncio.get_running_loop()
        while True:
            upgrade = format_request(
                "GET",
                f"/api/v1/showtimes/{viewer.showtime}/watch{viewer.since}",
                host=f"{self._host}:{self._port}",
                headers=UPGRADE_HEADERS,
            )
            socket = _Socket(upgrade, viewer, self)
            try:
                await loop.create_connection(lambda made=socket: made, self._host, self._port)
                await socket.ready
            except OSError as error:
                if socket.upgraded:
                    self._closed(socket)
                    continue
                self._failed.append(f"{viewer.showtime}: not connected: {error!r}")
                await asyncio.sleep(RECONNECT_S)
                continue
            try:
                await socket.gone
            finally:
                socket.close()
            self._closed(socket)

    def _closed(self, socket: _Socket) -> None:
        """A connection was ended by the server: its viewer comes again, with what it has."""
        code = str(socket.closed_with or ABNORMAL)
        self.close_codes[code] = self.close_codes.get(code, 0) + 1
        self.resumed += 1
