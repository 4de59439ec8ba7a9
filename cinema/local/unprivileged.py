"""How Postgres's programs run: as our own user, or as nobody if we are root.

Postgres refuses to run as root. As root we change to another user with `setpriv`. If that user may
not reach the checkout or the data (in root's private home), the user keeps one capability to read
there, because we do not want to open other people's folders.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

_FALLBACK_USER = "nobody"
_BOUNDING_SET = "CapBnd:"
# Bits of linux/capability.h.
DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2
_CAPABILITY_NAMES = {DAC_OVERRIDE: "dac_override", _DAC_READ_SEARCH: "dac_read_search"}


class CannotDropPrivileges(Exception):
    """Root has no way to run Postgres here as another user."""


class PostgresUser(msgspec.Struct, frozen=True, kw_only=True):
    """The user of Postgres, and the words to put before its command lines."""

    uid: int
    gid: int
    prefix: tuple[str, ...]


def postgres_identity(binaries: Path, data: Path, reads: Sequence[Path] = ()) -> PostgresUser:
    """Our own user, or as root the owner of existing `data`, otherwise nobody.

    `reads` are other files and folders that its programs have to read.
    """
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise CannotDropPrivileges(
                f"{data} belongs to user {_name_of(owner.st_uid)}; run as that user or as root, "
                "or choose another DATA_DIR"
            )
        return PostgresUser(uid=os.geteuid(), gid=os.getegid(), prefix=())
    uid, gid = (owner.st_uid, owner.st_gid) if owner and owner.st_uid else _unprivileged_user()
    return PostgresUser(
        uid=uid, gid=gid, prefix=_setpriv(uid, gid, _capability(binaries, data, reads))
    )


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _unprivileged_user() -> tuple[int, int]:
    try:
        entry = pwd.getpwnam(_FALLBACK_USER)
    except KeyError:
        raise CannotDropPrivileges(
            f"Postgres does not run as root, and there is no user {_FALLBACK_USER}; "
            "run as an ordinary user or set DATABASE_URL"
        ) from None
    return entry.pw_uid, entry.pw_gid


def _setpriv(uid: int, gid: int, capability: int | None) -> tuple[str, ...]:
    program = shutil.which("setpriv")
    if program is None:
        raise CannotDropPrivileges(
            "Postgres does not run as root, and setpriv (package util-linux) is missing; "
            "install it, run as an ordinary user, or set DATABASE_URL"
        )
    drop = [program, f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
    if capability is None:
        return (*drop, "--inh-caps=-all", "--ambient-caps=-all", "--")
    kept = f"-all,+{_CAPABILITY_NAMES[capability]}"
    # Postgres calls access(2) on its programs, which respects capabilities only with this bit.
    bit = "--securebits=+no_setuid_fixup"
    return (*drop, bit, f"--inh-caps={kept}", f"--ambient-caps={kept}", "--")


def _capability(binaries: Path, data: Path, reads: Sequence[Path]) -> int | None:
    """The least capability with which another user can use these places; None if it needs none."""
    program = binaries / "postgres"
    if not _others_may(program, stat.S_IXOTH):
        wanted: Iterable[int] = (DAC_OVERRIDE,)
    elif not (
        _others_reach(data)
        and _others_reach(program)
        and _libraries_readable(binaries)
        and all(_others_may(path, stat.S_IROTH) and _others_reach(path) for path in reads)
    ):
        # Containers often drop the smaller one and keep the larger.
        wanted = (_DAC_READ_SEARCH, DAC_OVERRIDE)
    else:
        return None
    allowed = bounding_set()
    for capability in wanted:
        if allowed >> capability & 1:
            return capability
    raise CannotDropPrivileges(
        f"user {_FALLBACK_USER} may not read {binaries} or {data}, and root may not let it here; "
        "move checkout and DATA_DIR where all may read, run as an ordinary user, "
        "or set DATABASE_URL"
    )


def _others_may(path: Path, bits: int) -> bool:
    return path.stat().st_mode & bits == bits


def _others_reach(path: Path) -> bool:
    return all(_others_may(parent, stat.S_IXOTH) for parent in path.parents if parent.exists())


def _libraries_readable(binaries: Path) -> bool:
    samples = [
        *(binaries.parent / "lib").glob("*.so*"),
        *(binaries.parent / "share").rglob("*.bki"),
    ]
    return all(_others_may(sample, stat.S_IROTH) for sample in samples) and all(
        _others_reach(sample) for sample in samples[-1:]
    )


def bounding_set() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    masks = [line.split()[1] for line in lines if line.startswith(_BOUNDING_SET)]
    return int(masks[0], 16) if masks else 0
