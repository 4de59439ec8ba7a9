"""Addresses of this machine's control endpoints: one file per server in `DATA_DIR/control`."""

from __future__ import annotations

from pathlib import Path

from cinema.settings.addresses import url_of

_FOLDER = "control"


def announce(data_dir: Path, host: str, port: int) -> Path:
    """Write the address of a control endpoint to a file; returns the file for `withdraw`.

    A server that was killed leaves its file behind; the next server on that port overwrites it.
    """
    folder = data_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / str(port)
    # Readers never see half a line, because the new text replaces the old one in one step.
    draft = folder / f".{port}"
    draft.write_text(f"{url_of(host, port)}\n")
    draft.replace(note)
    return note


def withdraw(note: Path) -> None:
    """Remove the file of an endpoint."""
    note.unlink(missing_ok=True)


def announced(data_dir: Path) -> list[str]:
    """The addresses in the files, newest first; some servers may have ended."""
    found = []
    for note in (data_dir / _FOLDER).glob("[0-9]*"):
        try:
            found.append((note.stat().st_mtime_ns, note.read_text().strip()))
        except FileNotFoundError:  # its server has just ended
            continue
    return [address for _, address in sorted(found, reverse=True)]
