"""CPU and memory of process trees, Postgres's short-lived backends included."""

from collections.abc import Mapping

import psutil

from benchmarks.load.specs import Usage


def tree_of(root_pid: int, *, without: frozenset[int] = frozenset()) -> list[psutil.Process]:
    """A process and its descendants; trees rooted in `without` are left out.

    Finding descendants takes a look at every process of the machine, some 10 ms each time: too
    long for a load generator between two requests.
    """
    tree: list[psutil.Process] = []
    pending = [psutil.Process(root_pid)]
    while pending:
        process = pending.pop()
        tree.append(process)
        try:
            children = process.children()
        except psutil.NoSuchProcess:
            continue
        pending.extend(child for child in children if child.pid not in without)
    return tree


def usage_of(tree: list[psutil.Process]) -> Usage:
    """CPU seconds so far and resident bytes of a tree.

    Descendants that ended and were waited for count through their parent's `children_*` times,
    so a difference of two readings misses nothing.
    """
    cpu_s = 0.0
    rss_bytes = 0
    for process in tree:
        try:
            with process.oneshot():
                times = process.cpu_times()
                rss_bytes += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cpu_s += times.user + times.system + times.children_user + times.children_system
    return Usage(cpu_s=cpu_s, rss_bytes=rss_bytes)


def find_trees(roots: Mapping[str, int]) -> dict[str, list[psutil.Process]]:
    """Each named tree; a root is never counted inside another one's tree."""
    pids = frozenset(roots.values())
    return {name: tree_of(pid, without=pids - {pid}) for name, pid in roots.items()}


def read_usage(trees: Mapping[str, list[psutil.Process]]) -> dict[str, Usage]:
    """One reading of each named tree."""
    return {name: usage_of(tree) for name, tree in trees.items()}


def machine_cpu_s() -> float:
    """CPU seconds the whole machine has been busy, everyone's work included."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)
