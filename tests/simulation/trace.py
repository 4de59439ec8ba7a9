"""What happened in a run, line by line, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Callable


class Trace:
    """Every line goes into the hash; the lines themselves are kept only on request.

    Two runs with equal hashes went the same way: statements, answers and faults carry their moment
    in nanoseconds, and what draws it also draws everything else.
    """

    def __init__(self, now_ns: Callable[[], int], *, keep: bool) -> None:
        self._now_ns = now_ns
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: list[tuple[int, str]] | None = [] if keep else None

    def add(self, line: str) -> None:
        """One thing that happened now."""
        now_ns = self._now_ns()
        self._hash.update(b"%d %s\n" % (now_ns, line.encode()))
        if self.lines is not None:
            self.lines.append((now_ns, line))

    def hexdigest(self) -> str:
        """The hash so far."""
        return self._hash.hexdigest()


def shown(now_ns: int, line: str) -> str:
    """A line as people read it, with the moment in seconds."""
    return f"{now_ns / 1e9:12.6f}  {line}"
