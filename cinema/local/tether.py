"""Processes that end with the process that started them, even if that is killed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# Asks the kernel (Linux; elsewhere nothing) for SIGKILL when the parent ends, sees whether it
# has ended already, and becomes the command. Set in the child itself and not by `preexec_fn`,
# which may deadlock in a process with threads.
_LAUNCHER = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG = 1
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0):
        sys.exit("prctl: " + os.strerror(ctypes.get_errno()))
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the parent has ended")
sockets = [int(word) for word in sys.argv[2].split(",") if word]
for place, fd in enumerate(sockets, 3):
    # In ascending order no descriptor is overwritten before its turn.
    os.dup2(fd, place)
if sockets:
    os.environ.update(LISTEN_FDS=str(len(sockets)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
"""


def tethered(command: Sequence[str], *, listening: Sequence[int] = ()) -> list[str]:
    """The command line that runs `command`, tied to the process and thread that starts it.

    `listening` are descriptors above 2, which the caller passes on too; the command finds them
    from 3 on, announced as systemd does (`LISTEN_FDS`, `LISTEN_PID`).

    The first word is the program's whole path. Linux counts the end of the starting *thread* as
    the parent's end. On other systems nothing is tied, and a start looks for what was left.
    """
    sockets = ",".join(str(fd) for fd in sorted(set(listening)))
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), sockets, *command]
