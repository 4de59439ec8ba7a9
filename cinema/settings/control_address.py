"""Where the control endpoints of this machine listen: one file a server in `DATA_DIR/control`."""

from __future__ import annotations

from pathlib import Path

from cinema.settings.addresses import url_of

_FOLDER = "control"


def announce(data_dir: Path, host: str, port: int) -> Path:
    """Write down that a control endpoint listens; returns the file for `withdraw`.

    A server that was killed leaves its file behind, and the next one on that port takes it over.
    """
    folder = data_dir / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / str(port)
    # Readers never see half a line: the new text takes the place of the old in one step.
    draft = folder / f".{port}"
    draft.write_text(f"{url_of(host, port)}\n")
    draft.replace(note)
    return note


def withdraw(note: Path) -> None:
    """Take an announcement back."""
    note.unlink(missing_ok=True)


def announced(data_dir: Path) -> list[str]:
    """The addresses announced on this machine, the newest first; some may be gone."""
    found = []
    for note in (data_dir / _FOLDER).glob("[0-9]*"):
        try:
            found.append((note.stat().st_mtime_ns, note.read_text().strip()))
        except FileNotFoundError:  # its server has ended just now
            continue
    return [address for _, address in sorted(found, reverse=True)]
