"""CPU and memory of process trees, Postgres's short-lived backends included."""

from collections.abc import Mapping

import psutil

from benchmarks.load.specs import Usage


def tree_usage(root_pid: int, *, without: frozenset[int] = frozenset()) -> Usage:
    """CPU seconds so far and resident bytes of a process and its descendants.

    Descendants that ended and were waited for count through their parent's `children_*` times,
    so a difference of two readings misses nothing. Trees rooted in `without` are left out.
    """
    cpu_s = 0.0
    rss_bytes = 0
    pending = [psutil.Process(root_pid)]
    while pending:
        process = pending.pop()
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss_bytes += process.memory_info().rss
            children = process.children()
        except psutil.NoSuchProcess:
            continue
        cpu_s += times.user + times.system + times.children_user + times.children_system
        pending.extend(child for child in children if child.pid not in without)
    return Usage(cpu_s=cpu_s, rss_bytes=rss_bytes)


def read_usage(roots: Mapping[str, int]) -> dict[str, Usage]:
    """One reading of each named tree; a root is never counted inside another one's tree."""
    pids = frozenset(roots.values())
    return {name: tree_usage(pid, without=pids - {pid}) for name, pid in roots.items()}


def machine_cpu_s() -> float:
    """CPU seconds the whole machine has been busy, everyone's work included."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
