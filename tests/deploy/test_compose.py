"""`compose.yaml` agrees with itself, with the settings and with the balancer before the nodes.

Nothing here needs Docker: the file is read, and the script in it is run by a shell.
"""

from __future__ import annotations

import ipaddress
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cinema.cluster.ring import DEFAULT_WEIGHT
from cinema.http.limits import KEPT_CONNECTIONS_S
from cinema.local.cluster.plan import connections_needed, longest_stop_s
from cinema.local.embedded_postgres import WITHOUT_VALUES
from cinema.settings import Settings, fields, load_settings

ROOT = Path(__file__).parents[2]
NGINX = (ROOT / "deploy" / "nginx" / "cinema.conf").read_text()
HAPROXY = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text()
NODES = ("node-1", "node-2", "node-3")
IN_PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_URL": "https://tickets.example.com",
    "ALLOWED_ORIGINS": "https://www.example.com",
}


@pytest.fixture
def services() -> dict[str, Any]:
    services: dict[str, Any] = compose()["services"]
    return services


def compose() -> dict[str, Any]:
    text: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return text


def environment(service: dict[str, Any], **given: str) -> dict[str, str]:
    """The variables as Compose fills them in."""

    def value(text: object) -> str:
        return re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1]) or match[2], str(text)
        )

    return {name: value(text) for name, text in service["environment"].items()}


def seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)s", text)
    assert match
    return float(match[1])


def test_three_nodes_differ_in_nothing_but_who_they_are(services: dict[str, Any]) -> None:
    alike = []
    for name in NODES:
        node = services[name]
        assert node["environment"].pop("NODE_HOST") == name
        node.pop("networks")
        alike.append(node)
    assert alike[0] == alike[1] == alike[2]


def test_nodes_are_given_only_settings_that_exist(services: dict[str, Any]) -> None:
    known = {field.variable for field in fields()}
    known |= {f"{field.variable}_FILE" for field in fields() if field.secret}
    for name in NODES:
        assert services[name]["environment"].keys() <= known


@pytest.mark.parametrize("given", [{}, IN_PRODUCTION], ids=["trying", "production"])
def test_a_node_starts_with_what_it_is_given(
    services: dict[str, Any], tmp_path: Path, given: dict[str, str]
) -> None:
    make_secrets(services, tmp_path)
    variables = environment(services["node-1"], **given)
    variables = {
        name: text.replace("/run/cinema", str(tmp_path / "cinema"))
        for name, text in variables.items()
    }
    settings = load_settings({**variables, "HOST": "0.0.0.0"})
    assert settings.redis_url
    assert settings.database_url.endswith("@postgres:5432/cinema")
    secrets = {
        settings.jwt_secret_key,
        settings.encryption_keys,
        settings.ticket_signing_keys,
        settings.cluster_secret,
        settings.control_token,
    }
    assert len(secrets) == 5
    assert all(len(secret) == 64 for secret in secrets)


def make_secrets(services: dict[str, Any], folder: Path) -> None:
    """Run the script of the service `secrets` here."""
    (script,) = services["secrets"]["command"]
    script = script.replace("$$", "$")
    for place in ("cinema", "postgres", "redis"):
        (folder / place).mkdir(exist_ok=True)
        script = script.replace(f"/run/{place}/", f"{folder}/{place}/")
    subprocess.run([*services["secrets"]["entrypoint"], script], check=True)


def test_secrets_are_made_once(services: dict[str, Any], tmp_path: Path) -> None:
    make_secrets(services, tmp_path)
    own = tmp_path / "cinema" / "jwt_secret_key"
    own.write_text("one of our own")
    before = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    make_secrets(services, tmp_path)
    after = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    password = (tmp_path / "postgres" / "password").read_text()
    assert f":{password}@" in (tmp_path / "cinema" / "database_url").read_text()
    password = (tmp_path / "redis" / "password").read_text()
    assert f":{password}@" in (tmp_path / "cinema" / "redis_url").read_text()
    assert (tmp_path / "redis" / "redis.conf").read_text() == f"requirepass {password}\n"


def test_nobody_starts_before_what_it_needs(services: dict[str, Any]) -> None:
    assert services["postgres"]["depends_on"].keys() == {"secrets"}
    assert services["redis"]["depends_on"].keys() == {"secrets"}
    assert services["balancer"]["depends_on"].keys() == set(NODES)
    for name in NODES:
        needs = services[name]["depends_on"]
        assert needs.keys() == {"secrets", "postgres", "redis"}
        for need in ("postgres", "redis"):
            assert needs[need] == {"condition": "service_healthy"}
            assert services[need]["healthcheck"]["test"]


def test_nodes_may_drain_before_they_are_killed(services: dict[str, Any]) -> None:
    for name in NODES:
        assert services[name]["restart"] == "unless-stopped"
        assert seconds(services[name]["stop_grace_period"]) >= longest_stop_s(Settings())


def test_postgres_takes_the_connections_of_all_nodes_and_one_more(
    services: dict[str, Any],
) -> None:
    limit = int(re.search(r"max_connections=(\d+)", str(services["postgres"]["command"]))[1])
    assert connections_needed(Settings(nodes=len(NODES) + 1)) <= limit


def test_log_of_postgres_tells_as_little_as_that_of_the_embedded_one(
    services: dict[str, Any],
) -> None:
    said = {f"-c{name}={value}" for name, value in WITHOUT_VALUES.items()}
    assert said < {*services["postgres"]["command"]}


def test_postgres_is_new_enough(services: dict[str, Any]) -> None:
    assert int(re.match(r"postgres:(\d+)", services["postgres"]["image"])[1]) >= 17


def test_data_is_kept_in_volumes_that_are_declared(services: dict[str, Any]) -> None:
    mounted = {
        mount.split(":")[0]
        for service in services.values()
        for mount in service.get("volumes", [])
        if not mount.startswith("./")
    }
    assert mounted == set(compose()["volumes"])


def test_files_that_are_mounted_exist(services: dict[str, Any]) -> None:
    for service in services.values():
        for mount in service.get("volumes", []):
            if mount.startswith("./"):
                assert (ROOT / mount.split(":")[0]).exists()


def test_only_the_balancer_is_published_and_only_here(services: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert published.keys() == {"balancer", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_nodes_believe_the_balancer_and_nobody_else(services: dict[str, Any]) -> None:
    (pool,) = compose()["networks"]["default"]["ipam"]["config"]
    places = {
        name: ipaddress.ip_address(services[name]["networks"]["default"]["ipv4_address"])
        for name in ("balancer", *NODES)
    }
    assert len(set(places.values())) == 4
    assert all(place in ipaddress.ip_network(pool["subnet"]) for place in places.values())
    for name in NODES:
        assert services[name]["environment"]["TRUSTED_PROXIES"] == f"{places['balancer']}/32"


def test_balancers_name_the_nodes_as_the_ring_does(services: dict[str, Any]) -> None:
    addresses = [
        f"{services[name]['environment']['NODE_HOST']}:{Settings().port}" for name in NODES
    ]
    servers = re.findall(r"^ *server (\S+) weight=(\d+)", NGINX, re.MULTILINE)
    assert servers == [(one, str(DEFAULT_WEIGHT)) for one in addresses] * 2
    assert f"default-server weight {DEFAULT_WEIGHT} " in HAPROXY
    assert re.findall(r"^ *server (\S+) (\S+)$", HAPROXY, re.MULTILINE) == [
        (one, one) for one in addresses
    ]
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["job_name"] == "cinema"
    assert scrape["static_configs"] == [{"targets": addresses}]


def test_balancers_wait_longer_than_nodes_take_and_close_first() -> None:
    settings = Settings()
    answer_s = settings.command_deadline_ms / 1000
    for timeout in ("proxy_read_timeout 15s", "proxy_send_timeout 15s"):
        assert timeout in NGINX
    assert "timeout server 15s" in HAPROXY
    assert answer_s < 15
    assert "proxy_read_timeout 60s" in NGINX
    assert "timeout tunnel 60s" in HAPROXY
    assert 2 * settings.ws_heartbeat_seconds < 60
    kept = {seconds(one) for one in re.findall(r"keepalive_timeout (\w+);", NGINX)}
    assert max(kept) < KEPT_CONNECTIONS_S, "a node that stops closes what is idle for longer"
    assert (
        int(re.search(r"client_max_body_size (\d)m;", NGINX)[1]) << 20 > settings.body_limit_bytes
    )
