"""The balancers of `deploy/` as real programs, with their files as they are but for addresses."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from cinema.cluster.ring import RingNode
from tests.support.programs import program
from tests.support.server_process import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
START_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.02


class Balancer(ABC):
    """One balancer before some nodes, listening on ports of its own.

    A test whose clients all share one address lifts the limit of requests from each. One that
    counts up to a limit has HAProxy forget nothing meanwhile, however slow the machine is.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path, *, limits_clients: bool = True, forgets: bool = True) -> None:
        self.folder = folder
        self.limits_clients = limits_clients
        self.forgets = forgets
        self.port = free_port()
        self.tls_port = free_port()
        self._log = folder / "balancer.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where clients reach it with TLS, once `with_tls` was asked for."""
        return f"https://127.0.0.1:{self.tls_port}"

    @abstractmethod
    def command(self, nodes: list[RingNode], *, with_tls: bool) -> list[str]:
        """Write the configuration for these nodes; the command that runs it in the foreground."""

    async def start(self, nodes: Iterable[RingNode], *, with_tls: bool = False) -> None:
        """Run it and wait until it listens."""
        process = self._launch(self.command(list(nodes), with_tls=with_tls))
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not await _listens(self.port):
            assert process.poll() is None, f"{self.name} ended:\n{self._log.read_text()}"
            assert time.monotonic() < deadline_s, f"{self.name} does not listen"
            await asyncio.sleep(POLL_S)

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(command, stdout=file, stderr=file)
        return self._process

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_TIMEOUT_S)

    def certificate(self) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1 and its key."""
        certificate, key = self.folder / "tls.crt", self.folder / "tls.key"
        subprocess.run(
            [
                program("openssl", package="openssl"), "req", "-x509", "-newkey", "ec",
                "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                "-keyout", key, "-out", certificate,
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        return certificate, key


class Nginx(Balancer):
    """`deploy/nginx/cinema.conf`.

    With `of_both` it listens for IPv4 and IPv6 at once, and says at `/client` whom it counts.
    """

    name = "nginx"
    of_both = False

    def command(self, nodes: list[RingNode], *, with_tls: bool) -> list[str]:
        """An nginx.conf around the file, with all it writes in our folder."""
        nginx = program("nginx", package="nginx-light")
        text = (DEPLOY / "nginx" / "cinema.conf").read_text()
        text, replaced = re.subn(
            r"( *)server node-1:8080 weight=100(.*;)\n(?: *server node-[23]:8080 .*\n)+",
            lambda match: "".join(
                f"{match[1]}server {node.address} weight={node.weight}{match[2]}\n"
                for node in nodes
            ),
            text,
        )
        assert replaced == 2
        if not self.limits_clients:
            assert "rate=200r/s" in text
            text = text.replace("rate=200r/s", "rate=100000r/s")
        if self.of_both:
            tells = "location = /client { return 200 $cinema_client; }"
            both = f"listen [::]:{self.port} ipv6only=off; {tells}"
            text = text.replace("listen 8080;", both)
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{self.port};")
        if with_tls:
            certificate, key = self.certificate()
            text = text.replace("#listen 8443", f"listen 127.0.0.1:{self.tls_port}")
            text = text.replace("#ssl_", "ssl_")
            text = text.replace("/etc/nginx/tls/tls.crt", str(certificate))
            text = text.replace("/etc/nginx/tls/tls.key", str(key))
        (self.folder / "cinema.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        lines = [
            "daemon off;",
            *(["user root;"] if os.geteuid() == 0 else []),
            f"pid {self.folder}/nginx.pid;",
            "error_log stderr warn;",
            "worker_processes 2;",
            "events { worker_connections 512; }",
            "http {",
            "access_log off;",
            *(f"{kind}_temp_path {self.folder}/{kind};" for kind in kinds),
            f"include {self.folder}/cinema.conf;",
            "}",
        ]
        (self.folder / "nginx.conf").write_text("\n".join(lines))
        return [
            nginx,
            "-p",
            str(self.folder),
            "-c",
            str(self.folder / "nginx.conf"),
            "-e",
            "stderr",
        ]


class HAProxy(Balancer):
    """`deploy/haproxy/haproxy.cfg` with its `ring.lua`."""

    name = "haproxy"

    def command(self, nodes: list[RingNode], *, with_tls: bool) -> list[str]:
        """The file with these nodes."""
        haproxy = program("haproxy", package="haproxy")
        text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text()
        text = text.replace("/etc/haproxy/ring.lua", str(DEPLOY / "haproxy" / "ring.lua"))
        text, replaced = re.subn(
            r"( *)server node-1:8080 node-1:8080\n(?: *server node-[23]:8080 .*\n?)+",
            lambda match: "".join(
                f"{match[1]}server {node.address} {node.address} weight {node.weight}\n"
                for node in nodes
            ),
            text,
        )
        assert replaced == 1
        if not self.forgets:
            assert "http_req_rate(10s)" in text
            text = text.replace("http_req_rate(10s)", "http_req_rate(1h)")
        if not self.limits_clients:
            for limit in ("gt 3000", "gt 1600"):
                assert limit in text
                text = text.replace(limit, "gt 1000000")
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        if with_tls:
            certificate, key = self.certificate()
            both = self.folder / "tls.pem"
            both.write_text(certificate.read_text() + key.read_text())
            text = text.replace("#bind :8443", f"bind 127.0.0.1:{self.tls_port}")
            text = text.replace("/etc/haproxy/tls.pem", str(both))
        path = self.folder / "haproxy.cfg"
        path.write_text(text)
        return [haproxy, "-db", "-f", str(path)]


class HAProxyOfPods(Balancer):
    """`deploy/kubernetes/haproxy`, where only the addresses behind the names are ours."""

    name = "haproxy of pods"
    folder_of_files = DEPLOY / "kubernetes" / "haproxy"

    def command(self, nodes: list[RingNode], *, with_tls: bool) -> list[str]:
        """The file, whose first servers are these nodes; the others do not exist."""
        assert not with_tls
        haproxy = program("haproxy", package="haproxy")
        text = (self.folder_of_files / "haproxy.cfg").read_text()
        # The kustomization takes it from there.
        text = text.replace("/usr/local/etc/haproxy/ring.lua", str(DEPLOY / "haproxy" / "ring.lua"))
        text = text.replace("/usr/local/etc/haproxy", str(self.folder_of_files))
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        text = text.replace("parse-resolv-conf", "nameserver nobody 127.0.0.1:1")
        for number, node in enumerate(nodes):
            place = f'"cinema-{number}.cinema-nodes.${{NAMESPACE}}.svc.cluster.local:8080"'
            assert place in text
            text = text.replace(place, node.address)
        path = self.folder / "haproxy.cfg"
        path.write_text(text.replace("${NAMESPACE}", "default"))
        return [haproxy, "-db", "-f", str(path)]


BALANCERS: tuple[type[Balancer], ...] = (Nginx, HAProxy)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
