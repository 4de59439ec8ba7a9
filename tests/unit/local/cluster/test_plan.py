"""What each node of a local cluster is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import msgspec
import pytest

from cinema.local.cluster.plan import (
    NodePlan,
    connections_needed,
    node_environment,
    plan_nodes,
)
from cinema.local.cluster.ports import Ports
from cinema.settings import Secret, Settings, load_settings

PLAN = NodePlan(number=2, port=8082, cluster_port=4002, control_port=4102)


@pytest.fixture
def ports() -> Iterator[Ports]:
    opened = Ports()
    yield opened
    opened.close()


def told(settings: Settings, **inherited: str) -> dict[str, str]:
    return node_environment(settings, PLAN, inherited)


def test_a_node_reads_back_every_setting_of_its_supervisor() -> None:
    settings = Settings(
        nodes=3,
        host="0.0.0.0",
        port=8080,
        demo_data=False,
        allowed_origins=("https://a.example", "https://b.example"),
        jwt_secret_key=Secret("k" * 20 + "0123456789abcdef"),
        database_url=Secret("postgresql://cinema@/cinema?host=/a%20b"),
        redis_url=Secret("unix:///tmp/r.sock"),
        lease_ms=77,
    )
    environment = told(settings, LOG_LEVEL="debug", HOME="/home/somebody")
    assert environment["HOME"] == "/home/somebody"
    read = load_settings(environment)
    own = {
        "nodes": 1,
        "node_host": "127.0.0.1",
        "port": 8082,
        "cluster_port": 4002,
        "control_port": 4102,
    }
    assert read == msgspec.structs.replace(settings, **own)


def test_a_node_learns_its_own_addresses() -> None:
    environment = told(Settings(host="::", nodes=2))
    assert environment["NODE_HOST"] == "::1"
    assert (environment["PORT"], environment["CLUSTER_PORT"]) == ("8082", "4002")
    assert environment["CONTROL_PORT"] == "4102"
    assert environment["NODES"] == "1", "a node supervises nobody"


def test_a_secret_from_a_file_goes_on_coming_from_there() -> None:
    environment = told(
        Settings(jwt_secret_key=Secret("as it was once")), JWT_SECRET_KEY_FILE="/run/key"
    )
    assert environment["JWT_SECRET_KEY_FILE"] == "/run/key"
    assert "JWT_SECRET_KEY" not in environment


def test_all_ports_of_all_nodes_differ(ports: Ports) -> None:
    [shared] = ports.listen("127.0.0.1", 0)
    plans = plan_nodes(Settings(port=0, nodes=8), shared.getsockname()[1], ports)
    assert [plan.number for plan in plans] == [*range(1, 9)]
    used = [port for plan in plans for port in (plan.port, plan.cluster_port, plan.control_port)]
    assert len({*used, shared.getsockname()[1]}) == 25


def test_the_nodes_follow_the_port_that_was_asked_for_and_step_over_others(ports: Ports) -> None:
    [shared] = ports.listen("127.0.0.1", 0)
    port = shared.getsockname()[1]
    try:
        busy = socket.create_server(("127.0.0.1", port + 1))
    except OSError:
        pytest.skip("the next port is somebody else's")
    with busy:
        plans = plan_nodes(Settings(port=port, nodes=3), port, ports)
    own = [plan.port for plan in plans]
    assert own == sorted(set(own))
    assert own[0] > port + 1


def test_control_ports_follow_the_one_that_was_asked_for(ports: Ports) -> None:
    first = Ports()
    wanted = first.reserve("127.0.0.1", 0)
    first.close()
    plans = plan_nodes(Settings(port=0, control_port=wanted, nodes=3), 0, ports)
    control = [plan.control_port for plan in plans]
    assert control[0] == wanted
    assert control == sorted(set(control))


def test_a_node_can_listen_on_its_reserved_port_and_again_after_a_restart(ports: Ports) -> None:
    port = ports.reserve("127.0.0.1", 0)
    for _ in range(2):
        with (
            socket.create_server(("127.0.0.1", port)) as listening,
            socket.create_connection(("127.0.0.1", port)),
        ):
            listening.accept()[0].close()
    assert port not in {ports.reserve("127.0.0.1", 0) for _ in range(50)}


def test_a_port_that_is_taken_is_named(ports: Ports) -> None:
    [shared] = ports.listen("127.0.0.1", 0)
    port = shared.getsockname()[1]
    with pytest.raises(OSError, match=f"127.0.0.1 port {port}"):
        ports.listen("127.0.0.1", port)


def test_a_name_with_several_addresses_shares_one_port(ports: Ports) -> None:
    opened = ports.listen("localhost", 0)
    assert len({one.getsockname()[1] for one in opened}) == 1


def test_connections_grow_with_the_nodes_and_their_pools() -> None:
    three = connections_needed(Settings(nodes=3))
    assert connections_needed(Settings(nodes=4)) > three
    assert connections_needed(Settings(nodes=3, database_pool_size=13)) == three + 3
    assert connections_needed(Settings(nodes=3, commit_lanes=2)) == three + 3
