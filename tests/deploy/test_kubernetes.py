"""The manifests of `deploy/kubernetes` fit the schemas of Kubernetes, each other and the server."""

from __future__ import annotations

import copy
import re
import secrets
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from cinema.cluster.ring import DEFAULT_WEIGHT
from cinema.features.operations.build import DISK_FREE_BYTES_MIN
from cinema.local.cluster.plan import longest_stop_s
from cinema.settings import Settings, fields, load_settings

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
BALANCER = FOLDER / "haproxy"
OUTSIDE = ROOT / "deploy" / "haproxy"
NEWEST = kubernetes_validate.latest_version()
"""What `bin/check` does with an older version, done with the newest that is known."""

_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def kustomization() -> dict[str, Any]:
    (document,) = documents("kustomization.yaml")
    return document


FILES = sorted({*kustomization()["resources"], "secret.example.yaml"})
RESOURCES = [(name, document) for name in FILES for document in documents(name)]


def resource(kind: str, name: str = "cinema") -> dict[str, Any]:
    (found,) = [
        document
        for _, document in RESOURCES
        if document["kind"] == kind and document["metadata"]["name"] == name
    ]
    return found


def pod() -> dict[str, Any]:
    template: dict[str, Any] = resource("StatefulSet")["spec"]["template"]
    return template


def container() -> dict[str, Any]:
    (one,) = pod()["spec"]["containers"]
    found: dict[str, Any] = one
    return found


@pytest.mark.parametrize(("file", "document"), RESOURCES)
def test_kubernetes_takes_each_manifest(file: str, document: dict[str, Any]) -> None:
    used = kubernetes_validate.validate(document, NEWEST, strict=True)
    assert NEWEST.startswith(used)


def test_a_misspelt_field_is_noticed() -> None:
    wrong = copy.deepcopy(resource("StatefulSet"))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


def test_every_manifest_is_applied_except_for_the_example_secret() -> None:
    written = {path.name for path in FOLDER.glob("*.yaml")}
    assert written == {*FILES, "kustomization.yaml"}
    assert "secret.example.yaml" not in kustomization()["resources"]


def test_all_select_the_pods_of_the_nodes_by_the_same_label() -> None:
    label = {"app.kubernetes.io/name": "cinema"}
    assert pod()["metadata"]["labels"] == label
    stateful = resource("StatefulSet")["spec"]
    assert stateful["selector"]["matchLabels"] == label
    for name in ("cinema", "cinema-nodes"):
        assert resource("Service", name)["spec"]["selector"] == label
    assert resource("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == label
    assert resource("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == label
    for spread in pod()["spec"]["topologySpreadConstraints"]:
        assert spread["labelSelector"]["matchLabels"] == label
    for _, document in RESOURCES:
        assert document["metadata"]["labels"] == label
        assert "namespace" not in document["metadata"]


def test_a_node_starts_in_production_with_what_it_is_given(tmp_path: Path) -> None:
    environ = dict(resource("ConfigMap")["data"])
    for name in resource("Secret")["stringData"]:
        (tmp_path / name).write_text(secret_value(name))
    for variable in container()["env"]:
        value = variable.get("value", "cinema-0")
        value = value.replace("$(POD_NAME)", "cinema-0")
        environ[variable["name"]] = value.replace("/run/secrets/cinema", str(tmp_path))
    del environ["POD_NAME"]
    known = {field.variable for field in fields()}
    assert {name.removesuffix("_FILE") for name in environ} <= known
    settings = load_settings({**environ, "HOST": "0.0.0.0"})
    assert settings.production
    assert settings.node_host == "cinema-0.cinema-nodes"
    assert settings.redis_url


def secret_value(name: str) -> str:
    text: str = resource("Secret")["stringData"][name]
    return text.replace("REPLACE", secrets.token_hex(32))


def test_secrets_are_read_from_files_and_none_is_forgotten() -> None:
    kept = set(resource("Secret")["stringData"])
    read = {
        variable["name"].removesuffix("_FILE"): variable["value"]
        for variable in container()["env"]
        if variable["name"].endswith("_FILE")
    }
    (mount,) = [one for one in container()["volumeMounts"] if one["name"] == "secrets"]
    assert read == {name: f"{mount['mountPath']}/{name}" for name in kept}
    assert kept <= {field.variable for field in fields() if field.secret}
    text = (FOLDER / "secret.example.yaml").read_text()
    assert set(re.findall(r"--from-literal=(\w+)=", text)) == kept


def test_ports_are_those_of_the_settings() -> None:
    given = resource("ConfigMap")["data"]
    ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
    assert ports == {"http": int(given["PORT"]), "cluster": int(given["CLUSTER_PORT"])}
    exposed = re.search(r"^EXPOSE (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert exposed
    assert {int(port) for port in exposed[1].split()} == set(ports.values())
    for service in ("cinema", "cinema-nodes"):
        for port in resource("Service", service)["spec"]["ports"]:
            assert port["targetPort"] == port["name"]
            assert port["name"] in ports
    headless = resource("Service", "cinema-nodes")["spec"]
    assert {one["name"]: one["port"] for one in headless["ports"]} == ports
    policy = resource("NetworkPolicy")["spec"]
    opened = {one["port"] for rule in policy["ingress"] for one in rule["ports"]}
    assert opened == ports.keys()


def test_a_node_reaches_whom_it_asks() -> None:
    """Names, Postgres and Redis; Stripe, buckets and webhooks by https; mail servers."""
    policy = resource("NetworkPolicy")["spec"]
    reached = {
        one["port"] for rule in policy["egress"] for one in rule["ports"] if "to" not in rule
    }
    assert reached >= {53, 5432, 6379, 443, 465, 587, 25}


def test_prometheus_finds_the_pods_by_label_and_port_and_names_them_as_they_stay() -> None:
    text = yaml.safe_load((ROOT / "deploy" / "prometheus" / "kubernetes.yaml").read_text())
    (scrape,) = text["scrape_configs"]
    assert scrape["job_name"] == "cinema"
    (discovery,) = scrape["kubernetes_sd_configs"]
    (selector,) = discovery["selectors"]
    name, _, value = selector["label"].partition("=")
    assert pod()["metadata"]["labels"] == {name: value}
    kept, named = scrape["relabel_configs"]
    assert kept["regex"] in {one["name"] for one in container()["ports"]}
    assert named["target_label"] == "instance"
    assert named["source_labels"] == ["__meta_kubernetes_pod_name"]


def test_nodes_have_stable_names_before_they_are_ready() -> None:
    headless = resource("Service", "cinema-nodes")
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert resource("StatefulSet")["spec"]["serviceName"] == headless["metadata"]["name"]
    (host,) = [one["value"] for one in container()["env"] if one["name"] == "NODE_HOST"]
    assert host == f"$(POD_NAME).{headless['metadata']['name']}"


def test_a_pod_may_drain_before_it_is_killed() -> None:
    given = resource("ConfigMap")["data"]
    settings = Settings(
        shutdown_grace_seconds=int(given["SHUTDOWN_GRACE_SECONDS"]),
        drain_seconds=int(given["DRAIN_SECONDS"]),
    )
    command, pause_s = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    grace_s = pod()["spec"]["terminationGracePeriodSeconds"]
    assert int(pause_s) + longest_stop_s(settings) <= grace_s


def test_the_pause_before_draining_outlasts_the_readiness_probe() -> None:
    ready = container()["readinessProbe"]
    notice_s = ready["periodSeconds"] * ready["failureThreshold"]
    _, pause_s = container()["lifecycle"]["preStop"]["exec"]["command"]
    assert notice_s <= int(pause_s)


def test_probes_ask_the_right_question() -> None:
    paths = {
        name: container()[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    # A database that is away must not get the nodes killed.
    assert paths == {
        "startupProbe": "/healthz",
        "livenessProbe": "/healthz",
        "readinessProbe": "/readyz",
    }
    assert all(container()[name]["httpGet"]["port"] == "http" for name in paths)


def test_a_node_needs_no_rights_and_writes_only_where_it_may() -> None:
    of_pod, of_container = pod()["spec"]["securityContext"], container()["securityContext"]
    assert of_pod["runAsNonRoot"] is True
    uid = re.search(r"--uid (\d+)", (ROOT / "Dockerfile").read_text())
    assert uid
    assert of_pod["runAsUser"] == int(uid[1])
    assert of_container["readOnlyRootFilesystem"] is True
    assert of_container["allowPrivilegeEscalation"] is False
    assert of_container["capabilities"] == {"drop": ["ALL"]}
    assert pod()["spec"]["automountServiceAccountToken"] is False
    mounts = {one["name"]: one["mountPath"] for one in container()["volumeMounts"]}
    assert mounts.keys() == {one["name"] for one in pod()["spec"]["volumes"]}
    data_dir = re.search(r"DATA_DIR=(\S+)", (ROOT / "Dockerfile").read_text())
    assert data_dir
    assert mounts["data"] == data_dir[1]


def test_the_data_folder_is_larger_than_what_readiness_asks_for() -> None:
    (data,) = [one for one in pod()["spec"]["volumes"] if one["name"] == "data"]
    number, unit = re.fullmatch(r"(\d+)(\w+)", data["emptyDir"]["sizeLimit"]).groups()
    assert int(number) * _UNITS[unit] > DISK_FREE_BYTES_MIN


def test_the_autoscaler_alone_says_how_many() -> None:
    scaler = resource("HorizontalPodAutoscaler")["spec"]
    target = resource("StatefulSet")
    assert "replicas" not in target["spec"]
    assert scaler["scaleTargetRef"] == {
        "apiVersion": target["apiVersion"],
        "kind": target["kind"],
        "name": target["metadata"]["name"],
    }
    assert 3 <= scaler["minReplicas"] < scaler["maxReplicas"]
    assert "cpu" in container()["resources"]["requests"]


def test_one_node_at_a_time_is_taken_away() -> None:
    assert resource("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert resource("StatefulSet")["spec"]["updateStrategy"] == {"type": "RollingUpdate"}
    for policies in resource("HorizontalPodAutoscaler")["spec"]["behavior"].values():
        assert [one["value"] for one in policies["policies"]] == [1]


def test_the_balancer_names_all_nodes_there_may_be_as_the_ring_does() -> None:
    text = (BALANCER / "haproxy.cfg").read_text()
    most = resource("HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    headless = resource("Service", "cinema-nodes")["metadata"]["name"]
    port = resource("ConfigMap")["data"]["PORT"]
    hosts = [f"cinema-{number}.{headless}" for number in range(most)]
    assert re.findall(r'^ *server (\S+) "(\S+)"$', text, re.MULTILINE) == [
        (f"{host}:{port}", f"{host}.${{NAMESPACE}}.svc.cluster.local:{port}") for host in hosts
    ]
    assert f"default-server weight {DEFAULT_WEIGHT} " in text


def test_the_balancer_says_and_waits_as_the_one_outside_of_kubernetes_does() -> None:
    def defaults(path: Path) -> str:
        return path.read_text().partition("\ndefaults\n")[2].partition("\n\n")[0]

    outside = defaults(OUTSIDE / "haproxy.cfg")
    assert outside
    assert defaults(BALANCER / "haproxy.cfg") == outside


def test_the_manifests_of_the_balancer_fit_each_other() -> None:
    documents = list(yaml.safe_load_all((BALANCER / "balancer.yaml").read_text()))
    for document in documents:
        kubernetes_validate.validate(document, NEWEST, strict=True)
        assert document["metadata"]["name"] == "cinema-balancer"
    service, deployment, budget = (document["spec"] for document in documents)
    label = {"app.kubernetes.io/name": "cinema-balancer"}
    assert service["selector"] == budget["selector"]["matchLabels"] == label
    assert deployment["selector"]["matchLabels"] == label
    assert deployment["template"]["metadata"]["labels"] == label
    own, base = (
        yaml.safe_load((folder / "kustomization.yaml").read_text())
        for folder in (BALANCER, OUTSIDE)
    )
    assert own["resources"] == ["../../haproxy", "balancer.yaml"]
    assert (BALANCER / own["resources"][0]).resolve() == OUTSIDE
    (added,), (made,) = own["configMapGenerator"], base["configMapGenerator"]
    # It merges its configuration into the map of the base, which brings the ring.
    assert (added["name"], added["behavior"]) == (made["name"], "merge")
    (volume,) = deployment["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == made["name"]
    (haproxy,) = deployment["template"]["spec"]["containers"]
    (mount,) = haproxy["volumeMounts"]
    text = (BALANCER / "haproxy.cfg").read_text()
    (ring,) = made["files"]
    assert f"lua-load-per-thread {mount['mountPath']}/{ring}" in text
    assert (OUTSIDE / ring).exists()
    assert f"monitor-uri {haproxy['readinessProbe']['httpGet']['path']}" in text
    (port,) = haproxy["ports"]
    assert f"bind :{port['containerPort']}\n" in text
    assert {path.name for path in BALANCER.iterdir()} == {
        *added["files"], "balancer.yaml", "kustomization.yaml"
    }  # fmt: skip


def test_no_file_of_a_deployment_stands_twice() -> None:
    files = [path for path in (ROOT / "deploy").rglob("*") if path.is_file()]
    assert len({path.read_bytes() for path in files}) == len(files) > 10


def test_only_nodes_reach_the_cluster_port() -> None:
    rules = resource("NetworkPolicy")["spec"]["ingress"]
    (cluster,) = [rule for rule in rules if rule["ports"][0]["port"] == "cluster"]
    assert cluster["from"] == [{"podSelector": resource("NetworkPolicy")["spec"]["podSelector"]}]
