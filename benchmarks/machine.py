"""Where a session was measured, as far as it matters to the figures."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.processes import ROOT


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, kernel, Python and the libraries on the hot path."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-', 1)[0]}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("aiohttp", "asyncpg", "msgspec", "uvloop")},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def describe_commit() -> str:
    """The commit that is measured, with a plus if files differ from it; empty outside of git."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip()
