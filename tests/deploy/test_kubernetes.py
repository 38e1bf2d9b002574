"""deploy/kubernetes keeps what docs/deploy.md promises, and agrees with docker-compose.yml; no cluster is needed."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from deploy.kubernetes.generated_files import files
from shared.broker import IO_QUEUE, QUEUES
from shared.settings import Settings, variable_name
from tests.system import ROOT

Resource = Mapping[str, Any]
KUBERNETES = ROOT / "deploy" / "kubernetes"
SERVICES = ("api", "worker", "worker-io", "monitor")
SETTINGS = {variable_name(field): field for field in Settings.model_fields}
COMPOSE: Mapping[str, Resource] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

each_service = pytest.mark.parametrize("name", SERVICES)


@cache
def resources(folder: str) -> tuple[Resource, ...]:
    """Of a kustomization, what its files hold, as they hold it."""
    named = kustomization(folder).get("resources", ())
    paths = [path for path in (KUBERNETES / folder / name for name in named) if path.is_file()]
    return tuple(resource for path in paths for resource in yaml.safe_load_all(path.read_text()))


@cache
def kustomization(folder: str) -> Resource:
    loaded: Resource = yaml.safe_load((KUBERNETES / folder / "kustomization.yaml").read_text())
    return loaded


def one(kind: str, name: str, folder: str = "base") -> Resource:
    (found,) = [
        resource for resource in resources(folder) if (resource["kind"], resource["metadata"]["name"]) == (kind, name)
    ]
    return found


def workloads() -> Iterator[tuple[str, Resource]]:
    """Name and pod template of all that runs."""
    for folder in ("base", "overlays/dev", "overlays/production"):
        for resource in resources(folder):
            if resource["kind"] in {"Deployment", "StatefulSet", "Job"}:
                yield resource["metadata"]["name"], resource["spec"]["template"]


def pod(name: str) -> Resource:
    spec: Resource = dict(workloads())[name]["spec"]
    return spec


def container(name: str) -> Resource:
    (found,) = pod(name)["containers"]
    loaded: Resource = found
    return loaded


def containers() -> Iterator[tuple[str, Resource]]:
    for name, template in workloads():
        for found in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"]):
            yield name, found


def policies(component: str, direction: str, *folders: str) -> list[Resource]:
    """The rules, of every NetworkPolicy, that let a component connect (egress) or be connected to (ingress)."""
    rules: list[Resource] = []
    for folder in folders:
        for resource in resources(folder):
            if resource["kind"] == "NetworkPolicy" and selects(resource["spec"]["podSelector"], component):
                rules += resource["spec"].get(direction, ())
    return rules


def selects(selector: Resource, component: str) -> bool:
    key = "app.kubernetes.io/component"
    if selector.get("matchLabels", {}).get(key, component) != component:
        return False
    return all(
        expression["operator"] == "In" and component in expression["values"]
        for expression in selector.get("matchExpressions", ())
        if expression["key"] == key
    )


def dockerfile(name: str) -> str:
    return (ROOT / str(COMPOSE[name]["build"]["dockerfile"])).read_text()


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def amount(text: str) -> float:
    """Bytes or processors, of a quantity in Kubernetes's notation or in Docker's with its default."""
    found = re.fullmatch(r"(?:\$\{\w+:-)?([\d.]+)(m|[KMG]i?|[kmg])?\}?", text)
    assert found is not None, text
    factor = {None: 1.0, "m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return float(found[1]) * factor[found[2]]


def docker_bytes(text: str) -> float:
    found = re.fullmatch(r"(?:\$\{\w+:-)?(\d+)([mg])\}?", text)
    assert found is not None, text
    return int(found[1]) * {"m": 2**20, "g": 2**30}[found[2]]


def test_nothing_runs_as_root_or_with_a_privilege() -> None:
    assert {name for name, _ in workloads()} == {*SERVICES, "migrate", "postgres", "redis"}
    for name, template in workloads():
        security = template["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"], name
        assert security["runAsUser"] == (999 if name in {"postgres", "redis"} else 10001)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template["spec"]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(template["spec"])
        assert not [volume for volume in template["spec"]["volumes"] if "hostPath" in volume]
        # A Service `redis` would set REDIS_PORT to tcp://..., which is no port.
        assert template["spec"]["enableServiceLinks"] is False
    for name, found in containers():
        assert found["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
    labels = one("Namespace", "wavemill")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@each_service
def test_a_deployment_has_probes_and_a_budget_for_disruptions_and_is_spread(name: str) -> None:
    found = container(name)
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert ("exec" in found[probe]) == name.startswith("worker")
    if name.startswith("worker"):
        check = re.findall(r"HEALTHCHECK [^\n]+\\\n\s+CMD (\[.+\])", dockerfile(name))[-1]
        assert found["livenessProbe"]["exec"]["command"] == yaml.safe_load(check)
    else:
        assert found["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert found["readinessProbe"]["httpGet"]["path"] == "/readyz"
    budget = one("PodDisruptionBudget", name)["spec"]
    selector = one("Deployment", name)["spec"]["selector"]
    assert budget == {"maxUnavailable": 1, "selector": selector}
    spread = pod(name)["topologySpreadConstraints"]
    assert {item["topologyKey"] for item in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(item["labelSelector"] == selector for item in spread)


def test_every_container_is_limited() -> None:
    for name, found in containers():
        for kind in ("requests", "limits"):
            assert set(found["resources"][kind]) == {"cpu", "memory", "ephemeral-storage"}, name


@pytest.mark.parametrize("name", [*SERVICES, "migrate", "postgres", "redis"])
def test_limits_and_grace_are_those_of_compose(name: str) -> None:
    found, service = container(name), COMPOSE[name]
    assert amount(found["resources"]["limits"]["memory"]) == docker_bytes(str(service["mem_limit"]))
    assert amount(found["resources"]["limits"]["cpu"]) == amount(str(service["cpus"]))
    # What preStop takes is no time to end in.
    waits = found.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod(name)["terminationGracePeriodSeconds"] == seconds(service["stop_grace_period"]) + waits
    assert (waits > 0) == (name in {"api", "monitor"})


def test_images_are_those_of_compose() -> None:
    for name, found in containers():
        expected = str(COMPOSE[name]["image"]).replace("${VERSION:-dev}", "dev")
        assert found["image"] == expected, name
    ours = {found["image"].partition(":")[0] for name, found in containers() if name in (*SERVICES, "migrate")}
    assert {image["name"] for image in kustomization("overlays/production")["images"]} == ours


def test_commands_are_those_of_compose() -> None:
    for name in (*SERVICES, "migrate", "redis"):
        expected = COMPOSE[name].get("command")
        if name == "redis":
            assert expected is not None
            script = expected[2].replace("$$", "$").replace("${REDIS_MAXMEMORY:-256mb}", "256mb")
            expected = [*expected[:2], script]
        assert container(name).get("command") == expected, name
    assert container("postgres")["args"] == COMPOSE["postgres"]["command"]


def variables(folder: str) -> dict[str, str]:
    """What the ConfigMap of a kustomization sets."""
    found = dict[str, str]()
    for generator in kustomization(folder)["configMapGenerator"]:
        lines = list(generator.get("literals", ()))
        for file in generator.get("envs", ()):
            lines += (KUBERNETES / folder / file).read_text().splitlines()
        found |= dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return found


def test_every_variable_is_a_setting_and_is_set_as_in_compose() -> None:
    ours = {**variables("base"), **{item["name"]: item["value"] for item in container("worker")["env"]}}
    everywhere = {**ours, **variables("overlays/dev"), **variables("overlays/production")}
    assert {name for name in everywhere if name not in SETTINGS} == {"AWS_REGION"}
    assert container("worker")["env"] == container("worker-io")["env"]
    for name, value in ours.items():
        in_compose = re.sub(r"\$\{\w+:-(.*)\}", r"\1", str(COMPOSE["worker"]["environment"][name]))
        assert value == in_compose, name
    # The rest of compose's are secrets, the blob store's, or off.
    left = set(COMPOSE["worker"]["environment"]) - set(ours)
    assert left == {
        *("DATABASE_URL", "REDIS_PASSWORD", "WAVEMILL_BLOB_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        *("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    }
    assert not [name for name in everywhere if re.search(r"PASSWORD|SECRET|DATABASE_URL|_KEY$", name)]


def test_the_page_says_what_the_secrets_hold() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    secrets = {
        source["secretRef"]["name"]
        for name in (*SERVICES, "migrate")
        for source in container(name)["envFrom"]
        if "secretRef" in source
    }
    assert secrets == {"wavemill-stores", "wavemill-admin", "wavemill-first-key"}
    for secret in (*secrets, "wavemill-postgres"):
        assert f"secret generic {secret} " in page
    # What holds the key of the operations page is the monitor alone, and what holds an API key makes it, and ends.
    for secret, holder in (("wavemill-admin", "monitor"), ("wavemill-first-key", "migrate")):
        holders = [name for name in (*SERVICES, "migrate") if secret in str(container(name))]
        assert holders == [holder]


@each_service
def test_ports_are_those_that_the_image_serves(name: str) -> None:
    ports = {item["name"]: item["containerPort"] for item in container(name)["ports"]}
    exposed = re.findall(r"^EXPOSE ([\d ]+)$", dockerfile(name), re.MULTILINE)[-1]
    assert set(ports.values()) == {int(port) for port in exposed.split()}
    service = one("Service", name)["spec"]
    assert service["selector"] == one("Deployment", name)["spec"]["selector"]["matchLabels"]
    assert {item["name"]: item["port"] for item in service["ports"]} == ports
    assert all(item["targetPort"] == item["name"] for item in service["ports"])
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    scraped = {job["job_name"]: job["dns_sd_configs"][0]["port"] for job in jobs if "dns_sd_configs" in job}
    assert ports["metrics"] == scraped[name]


def test_prometheus_may_read_metrics_and_nothing_else() -> None:
    monitor = one("ServiceMonitor", "wavemill", "components/prometheus-operator")["spec"]
    assert [endpoint["port"] for endpoint in monitor["endpoints"]] == ["metrics"]
    assert sorted(monitor["selector"]["matchExpressions"][0]["values"]) == sorted(SERVICES)
    policy = one("NetworkPolicy", "metrics-from-prometheus", "components/prometheus-operator")["spec"]
    (rule,) = policy["ingress"]
    served = {item["containerPort"] for name in SERVICES for item in container(name)["ports"]}
    assert {port["port"] for port in rule["ports"]} == served - {8000}


def test_the_walls_are_those_of_compose() -> None:
    deny = one("NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    names = one("NetworkPolicy", "names")["spec"]["egress"]
    for overlay in ("overlays/dev", "overlays/production"):
        (stores,) = [found for found in resources(overlay) if found["metadata"]["name"] == "to-stores"]
        for name in (*SERVICES, "migrate"):
            rules = policies(name, "egress", "base", overlay)
            more = [rule for rule in rules if rule not in names and rule not in stores["spec"]["egress"]]
            # As in compose, where worker-io alone is on the network `internet` and media workers meet stores alone.
            assert bool(more) == (name == "worker-io"), name
            for rule in more:
                assert [port["port"] for port in rule["ports"]] == [80, 443]
                assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"} <= set(
                    rule["to"][0]["ipBlock"]["except"]
                )
    everywhere = ("base", "overlays/dev", "components/ingress", "components/prometheus-operator")
    for name in ("worker", "worker-io", "monitor"):
        ports = {port["port"] for rule in policies(name, "ingress", *everywhere) for port in rule["ports"]}
        assert ports == {9107, 9108, 9109}, name
    assert not policies("migrate", "ingress", *everywhere)


def test_workers_have_scratch_on_disk_and_all_have_a_small_tmp_in_memory() -> None:
    for name in SERVICES:
        volumes = {volume["name"]: volume["emptyDir"] for volume in pod(name)["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
        assert set(volumes) == set(mounts)
        assert volumes["tmp"] == {"medium": "Memory", "sizeLimit": "64Mi"}
        assert f"/tmp:size={64}m" in COMPOSE[name]["tmpfs"]
        if name.startswith("worker"):
            assert f"WAVEMILL_SCRATCH_DIR={mounts['scratch']}" in dockerfile(name)
            limits = container(name)["resources"]["limits"]
            assert volumes["scratch"] == {"sizeLimit": limits["ephemeral-storage"]}


@each_service
def test_a_pod_waits_for_the_migration_with_its_own_image(name: str) -> None:
    (waiting,) = pod(name)["initContainers"]
    assert waiting["command"] == ["python", "-m", "shared.store.migrate", "--wait"]
    assert waiting["image"] == container(name)["image"]


def test_kubectl_scale_is_not_undone_but_where_something_else_scales() -> None:
    assert one("Deployment", "monitor")["spec"]["replicas"] == 2
    assert one("HorizontalPodAutoscaler", "api")["spec"]["scaleTargetRef"]["name"] == "api"
    assert "replicas" not in one("Deployment", "api")["spec"]
    (patch,) = kustomization("components/keda")["patches"]
    removed = {name for name in SERVICES if re.fullmatch(patch["target"]["name"], name)}
    assert removed == {name for name in ("worker", "worker-io") if one("ScaledObject", name, "components/keda")}


class TestKeda:
    """The numbers of workers that KEDA is told."""

    def spec(self, name: str) -> Resource:
        found: Resource = one("ScaledObject", name, "components/keda")["spec"]
        return found

    def test_workers_outlast_the_longest_job(self) -> None:
        for name in ("worker", "worker-io"):
            assert self.spec(name)["cooldownPeriod"] > Settings.model_fields["task_time_limit_seconds"].default
            assert self.spec(name)["minReplicaCount"] >= 1
            assert self.spec(name)["fallback"]["replicas"] >= 1
        (trigger,) = self.spec("worker")["triggers"]
        concurrency = {item["name"]: item["value"] for item in container("worker")["env"]}
        assert trigger["metadata"]["targetQueryValue"] == concurrency["WAVEMILL_WORKER_CONCURRENCY"]

    def test_it_counts_the_jobs_that_wait_and_those_that_run(self, postgres_url: str) -> None:
        queries = {name: self.spec(name)["triggers"][0]["metadata"]["query"] for name in ("worker", "worker-io")}
        for queue in set(QUEUES) - {IO_QUEUE}:
            assert f"'{queue}'" in queries["worker"]
        assert asyncio.run(counted(postgres_url, queries)) == {"worker": 3, "worker-io": 1}


async def counted(url: str, queries: Mapping[str, str]) -> dict[str, int]:
    """What the queries count among jobs of every status, of which one that is queued is not due, and one is held."""
    jobs = [
        ("queued", "default", None),
        ("queued", "low", "-1 hour"),
        ("queued", "high", "1 hour"),
        ("running", "high", None),
        ("fetching", "io", None),
        ("fetching", "io", "1 hour"),
        ("held", "default", None),
        ("succeeded", "default", None),
        ("failed", "default", None),
        ("canceled", "io", None),
    ]
    connection = await asyncpg.connect(url)
    try:
        # A table of the columns' own types, before the real one on the path, and without its constraints.
        await connection.execute("CREATE TEMP TABLE jobs AS SELECT status, queue, not_before, held FROM jobs")
        for status, queue, due in jobs:
            insert = "INSERT INTO jobs VALUES ($1, $2, now() + $3::text::interval, $4)"
            held = status == "held"
            await connection.execute(insert, "queued" if held else status, queue, due, held)
        return {name: await connection.fetchval(query) for name, query in queries.items()}
    finally:
        await connection.close()


def test_rules_and_dashboards_are_those_of_compose() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name} differs from what it is made of: run `make docs`"


def test_what_is_named_is_there() -> None:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        for name in (*content.get("resources", ()), *content.get("components", ())):
            assert (path.parent / name).exists(), f"{path}: {name}"
    unused = set(KUBERNETES.rglob("*.yaml")) - set(named_files())
    assert unused == {KUBERNETES / "checkov.yaml"}


def named_files() -> Iterator[Path]:
    for path in KUBERNETES.rglob("kustomization.yaml"):
        yield path
        for name in yaml.safe_load(path.read_text()).get("resources", ()):
            yield path.parent / name
