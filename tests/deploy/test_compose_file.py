"""docker-compose.yml keeps what docs/deploy.md promises; no engine is needed to see that."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import yaml

from shared.broker import QUEUES
from shared.settings import Settings, variable_name
from tests.deploy.compose.images import of_builds, of_services
from tests.system import ROOT

Service = Mapping[str, Any]
SETTINGS = {variable_name(field) for field in Settings.model_fields}
# Read by other programs: obstore, PostgreSQL, redis-cli, Grafana, Flower and the S3 gateway.
OTHERS = re.compile(r"AWS_\w+|POSTGRES_\w+|PGDATA|REDISCLI_AUTH|GF_\w+|FLOWER_\w+|ROOT_(ACCESS|SECRET)_KEY|VGW_\w+")
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|AUTH|DATABASE_URL")
OUR_OWN = ("api", "worker", "worker-io", "monitor", "migrate", "flower")


@cache
def compose(file: str = "docker-compose.yml") -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = yaml.safe_load((ROOT / file).read_text())
    return loaded


def services() -> Mapping[str, Service]:
    found: Mapping[str, Service] = compose()["services"]
    return found


def dockerfile(service: Service) -> str:
    return (ROOT / str(service["build"]["dockerfile"])).read_text()


def seconds(duration: str) -> int:
    found = re.fullmatch(r"(\d+)s", duration)
    assert found is not None
    return int(found[1])


def neighbours(name: str) -> dict[str, set[str]]:
    """Of a service: each other with which it shares networks, and those networks."""
    own = set(services()[name]["networks"])
    shared = {other: own & set(service["networks"]) for other, service in services().items() if other != name}
    return {other: networks for other, networks in shared.items() if networks}


each_service = pytest.mark.parametrize("name", services())


def test_every_part_is_there_and_the_optional_ones_are_behind_profiles() -> None:
    profiles = {name: service.get("profiles") for name, service in services().items()}
    assert {name for name, profile in profiles.items() if profile is None} == {
        *("api", "worker", "worker-io", "monitor", "migrate", "postgres", "redis"),
        *("prometheus", "alertmanager", "grafana"),
    }
    assert {name: profile for name, profile in profiles.items() if profile} == {"flower": ["flower"], "s3": ["s3"]}


def test_nothing_in_it_is_unknown_to_docker_compose_1_29() -> None:
    # It takes no `name`, and wants `version` nowhere; v2 warns of `version`.
    assert {key for key in compose() if not key.startswith("x-")} == {"services", "networks", "volumes"}
    # Of `deploy`, 1.29 heeds the limits in swarm mode alone.
    assert not [name for name, service in services().items() if "deploy" in service or "secrets" in service]


@each_service
def test_a_service_is_limited_and_hardened(name: str) -> None:
    service = services()[name]
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period"} <= service.keys()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert service["logging"]["driver"] == "json-file"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert ("cap_add" in service) == (name == "postgres")


@each_service
def test_a_service_has_a_health_check(name: str) -> None:
    service = services()[name]
    if name == "migrate":
        assert service["healthcheck"] == {"disable": True}
    elif name in OUR_OWN:
        assert "HEALTHCHECK" in dockerfile(service)
        assert "inspect ping" not in re.sub(r"#.*", "", dockerfile(service))
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}


@each_service
def test_each_variable_is_a_setting_or_another_programs(name: str) -> None:
    variables = set(services()[name].get("environment", {}))
    unknown = {variable for variable in variables - SETTINGS if not OTHERS.fullmatch(variable)}
    assert not unknown
    if name in OUR_OWN:
        assert {"DATABASE_URL", "REDIS_HOST", "REDIS_PASSWORD", "WAVEMILL_BLOB_URL"} <= variables


def test_there_is_no_default_password() -> None:
    secrets = {
        (name, variable): str(value)
        for name, service in services().items()
        for variable, value in service.get("environment", {}).items()
        if SECRET.search(variable)
    }
    assert len(secrets) > 10
    for (name, variable), value in secrets.items():
        # Compose refuses to start without `:?`. A bucket's owner may leave the keys of the bucket to its machine.
        required = re.search(r'\$\{\w+:\?Run "make env" first\}', value)
        assert required or (variable.startswith("AWS_") and value == f"${{{variable}:-}}"), (name, variable)
    assert "requirepass $$REDISCLI_AUTH" in services()["redis"]["command"][2]


def test_only_the_api_and_grafana_are_published_and_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(ports) == {"api", "grafana"}
    more = {name: service["ports"] for name, service in compose("deploy/compose/operators.yml")["services"].items()}
    for published in (*ports.values(), *more.values()):
        (port,) = published
        assert re.fullmatch(r"\$\{[A-Z]+_PUBLISHED_AT:-127\.0\.0\.1:\d+\}:\d+", port)


def test_workers_have_time_to_hand_back_what_they_do() -> None:
    for name in ("worker", "worker-io"):
        service = services()[name]
        soft = int(service["environment"]["WAVEMILL_WORKER_SOFT_SHUTDOWN_SECONDS"])
        # Then the children hand back, and the parent waits up to 5 s to say goodbye.
        assert seconds(service["stop_grace_period"]) >= soft + 15


def test_the_api_ends_its_streams_within_its_grace() -> None:
    found = re.search(r'"--timeout-graceful-shutdown", "(\d+)"', dockerfile(services()["api"]))
    assert found is not None
    assert seconds(services()["api"]["stop_grace_period"]) >= int(found[1]) + 5


def test_images_are_pinned() -> None:
    for image in of_services().values():
        assert re.fullmatch(r"[a-z/.-]+:v?\d+\.\d+(\.\d+)?", image), image
    for image in of_builds():
        assert re.fullmatch(r"python:3\.\d+-slim-bookworm|ghcr\.io/astral-sh/uv:\d+\.\d+\.\d+", image), image
    for name in OUR_OWN:
        assert re.fullmatch(r"wavemill-(api|worker|monitor|flower):\$\{VERSION:-dev\}", services()[name]["image"])


def test_a_media_worker_shares_networks_with_the_stores_and_who_scrapes_it_alone() -> None:
    assert neighbours("worker") == {
        "postgres": {"media"},
        "redis": {"media"},
        "s3": {"media"},
        "prometheus": {"scrape-media"},
    }
    for network in services()["worker"]["networks"]:
        assert compose()["networks"][network] == {
            "internal": True,
            "driver_opts": {"com.docker.network.bridge.inhibit_ipv4": "true"},
        }
    # Prometheus listens on one network, by the name that it has there alone.
    (listens,) = [flag for flag in services()["prometheus"]["command"] if "listen" in flag]
    assert listens == "--web.listen-address=prometheus-watch:9090"
    aliases = {network: (how or {}).get("aliases") for network, how in services()["prometheus"]["networks"].items()}
    assert aliases == {"watch": ["prometheus-watch"], "scrape": None, "scrape-media": None}
    assert not set(neighbours("worker")) & {"watch"}


def test_only_what_needs_it_leads_outside() -> None:
    open_networks = {name for name, network in compose()["networks"].items() if not (network or {}).get("internal")}
    assert open_networks == {"public", "internet", "watch"}
    outside = {name for name, service in services().items() if open_networks & set(service["networks"])}
    assert outside == {"api", "worker-io", "prometheus", "alertmanager", "grafana"}
    # Who fetches what strangers name meets the stores, and nobody who is looked at by operators.
    assert {"grafana", "prometheus", "alertmanager"} & set(neighbours("worker-io")) == {"prometheus"}


def test_the_workers_read_every_queue_once() -> None:
    found = re.search(r'"worker", .*"-Q", "([a-z,]+)"', dockerfile(services()["worker"]))
    assert found is not None
    command = services()["worker-io"]["command"]
    queues = [*found[1].split(","), *command[command.index("-Q") + 1].split(",")]
    assert sorted(queues) == sorted(QUEUES)
    # One image: by default it is the media worker.
    assert "command" not in services()["worker"]
    assert services()["worker"]["image"] == services()["worker-io"]["image"]


@pytest.mark.parametrize("name", ["api", "worker", "worker-io", "monitor"])
def test_services_wait_for_the_migration(name: str) -> None:
    assert services()[name]["depends_on"] == {
        "migrate": {"condition": "service_completed_successfully"},
        "postgres": {"condition": "service_healthy"},
        "redis": {"condition": "service_healthy"},
    }


def test_redis_loses_nothing_on_purpose() -> None:
    script = services()["redis"]["command"][2]
    for line in ("appendonly yes", "maxmemory ${REDIS_MAXMEMORY:-256mb}", "maxmemory-policy noeviction"):
        assert f"{line}\n" in script


def test_what_is_mounted_from_the_checkout_is_there() -> None:
    mounts = [mount for service in services().values() for mount in service.get("volumes", ())]
    sources = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(sources) == 5
    for source in sources:
        assert (ROOT / source).is_dir()
    # A volume without a name is left behind by each worker that is scaled away.
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert named == set(compose()["volumes"])


def test_prometheus_scrapes_the_ports_that_the_services_serve_their_metrics_on() -> None:
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    found = {
        job["job_name"]: (lookup["names"], lookup["port"]) for job in jobs for lookup in job.get("dns_sd_configs", ())
    }
    ports = {"worker": "WAVEMILL_WORKER_METRICS_PORT", "api": "WAVEMILL_API_METRICS_PORT"}
    served = {name: re.search(rf"{variable}=(\d+)", dockerfile(services()[name])) for name, variable in ports.items()}
    expected = {name: int(match[1]) for name, match in served.items() if match is not None}
    expected |= {"worker-io": expected["worker"], "monitor": Settings.model_fields["monitor_port"].default}
    assert found == {name: ([name], port) for name, port in expected.items()}


def test_the_page_names_every_variable_that_the_file_reads() -> None:
    text = "".join((ROOT / file).read_text() for file in ("docker-compose.yml", "deploy/compose/operators.yml"))
    page = (ROOT / "docs" / "deploy.md").read_text()
    variables = set(re.findall(r"\$\{(\w+)", text))
    assert len(variables) > 20
    assert {variable for variable in variables if f"`{variable}`" not in page} == set()
