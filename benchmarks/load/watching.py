"""Watchers of one showtime: when did each change's frame reach each of them."""

import asyncio
import resource
import sys
import time
from collections.abc import Callable

import msgspec

from benchmarks.load.connection import CONNECT_BATCH
from benchmarks.load.histogram import Histogram
from benchmarks.load.specs import Acknowledged, Latencies, Watched, Watching
from benchmarks.load.websocket import WebSocketClient, watch_request


class _Frame(msgspec.Struct, gc=False):
    type: str
    epoch: int = 0
    prev_seq: int = -1
    seq: int = 0


class _Arrivals(msgspec.Struct):
    """One delta, as encoded once by the server, and when it came to each watcher."""

    frame: _Frame
    at_ns: list[int]


_decode_frame = msgspec.json.Decoder(_Frame).decode


class Gallery:
    """What a process's watchers have seen; a delta's bytes are decoded once for all of them."""

    def __init__(self) -> None:
        self.arrivals: dict[bytes, _Arrivals] = {}
        self.gaps = 0
        self.resyncs = 0
        self.closed = 0

    def arrived(self, payload: bytes, now_ns: int) -> _Frame:
        """Note a frame's arrival at one watcher."""
        known = self.arrivals.get(payload)
        if known is None:
            known = self.arrivals[payload] = _Arrivals(frame=_decode_frame(payload), at_ns=[])
        known.at_ns.append(now_ns)
        return known.frame

    def summary(
        self, commits: list[Acknowledged], watchers: int, seconds: float, cpu_s: float
    ) -> Watched:
        """Latencies of each change at each watcher, from the commit's answer and its request."""
        from_answer, from_request = Histogram(), Histogram()
        by_position = {(commit.epoch, commit.seq): commit for commit in commits}
        seen = frames = 0
        for arrivals in self.arrivals.values():
            frame = arrivals.frame
            if frame.type != "delta":
                continue
            frames += len(arrivals.at_ns)
            for seq in range(frame.prev_seq + 1, frame.seq + 1):
                commit = by_position.get((frame.epoch, seq))
                if commit is None:
                    continue
                seen += len(arrivals.at_ns)
                for at_ns in arrivals.at_ns:
                    from_answer.record(at_ns - commit.answered_ns)
                    from_request.record(at_ns - commit.sent_ns)
        return Watched(
            from_answer=Latencies.of(from_answer),
            from_request=Latencies.of(from_request),
            frames=frames,
            gaps=self.gaps,
            resyncs=self.resyncs,
            closed=self.closed,
            unseen=len(commits) * watchers - seen,
            generator_cpu_s=cpu_s,
            seconds=seconds,
        )


class Watcher(WebSocketClient):
    """One watcher, which checks that each delta continues where the last one ended."""

    def __init__(self, upgrade: bytes, gallery: Gallery) -> None:
        super().__init__(upgrade)
        self._gallery = gallery
        self._seq = -1

    def messages(self, payloads: list[bytes]) -> None:
        now_ns = time.monotonic_ns()
        for payload in payloads:
            frame = self._gallery.arrived(payload, now_ns)
            if frame.type == "delta":
                if frame.prev_seq != self._seq:
                    self._gallery.gaps += 1
            elif frame.type == "resync":
                self._gallery.resyncs += 1
            elif not self.ready.done():
                self.ready.set_result(None)
            self._seq = frame.seq

    def lost(self) -> None:
        self._gallery.closed += 1


async def run_watching(load: Watching, say: Callable[[object], None]) -> Watched:
    """Open the sockets, say `"ready"`, watch until standard input names the commits, and report."""
    allow_open_files(load.sockets + 100)
    gallery = Gallery()
    upgrade = watch_request(load.host, load.port, load.showtime, None)
    watchers = await _open(load, upgrade, gallery)
    started_s, cpu_s = time.monotonic(), time.process_time()
    say("ready")
    line = await asyncio.to_thread(sys.stdin.buffer.readline)
    seconds, cpu_s = time.monotonic() - started_s, time.process_time() - cpu_s
    for watcher in watchers:
        watcher.close()
    commits = msgspec.json.decode(line, type=list[Acknowledged])
    return gallery.summary(commits, len(watchers), seconds, cpu_s)


def allow_open_files(count: int) -> None:
    """Raise this process's soft limit of open files, as far as the hard one lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        limit = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


async def _open(load: Watching, upgrade: bytes, gallery: Gallery) -> list[Watcher]:
    loop = asyncio.get_running_loop()
    opened: list[Watcher] = []
    while len(opened) < load.sockets:
        batch = min(CONNECT_BATCH, load.sockets - len(opened))
        made = await asyncio.gather(
            *(
                loop.create_connection(lambda: Watcher(upgrade, gallery), load.host, load.port)
                for _ in range(batch)
            )
        )
        watchers = [watcher for _, watcher in made]
        await asyncio.gather(*(watcher.ready for watcher in watchers))
        opened.extend(watchers)
    return opened
