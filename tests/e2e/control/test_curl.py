"""The lines for curl in `docs/control.md`, as an operator pastes them."""

from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path

import msgspec
import pytest

from tests.e2e.control.desk import TOKEN, Desk
from tests.support.programs import program

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = Path(__file__).parents[3] / "docs" / "control.md"


async def test_lines_for_curl_find_a_server_among_those_that_were_killed(
    desk: Desk, tmp_path: Path
) -> None:
    """Three servers run, and of two more only the files are left."""
    program("curl", package="curl")
    (lines,) = re.findall(r"^```\n([^`]*\bcurl\b[^`]*)^```$", PAGE.read_text(), re.MULTILINE)
    notes = tmp_path / "data" / "control"
    notes.mkdir(parents=True)
    (tmp_path / "data" / "control_token").write_text(f"{TOKEN}\n")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    for name, port in (("1", nobody), ("2", desk.port), ("3", desk.port), ("4", nobody)):
        (notes / name).write_text(f"http://127.0.0.1:{port}\n")
    shell = await asyncio.create_subprocess_exec(
        "sh", "-c", lines, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await shell.communicate()
    assert shell.returncode == 0
    (node,) = msgspec.json.decode(told)["data"]
    assert node["node_id"] == desk.node_id
