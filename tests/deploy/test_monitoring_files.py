"""The files that Prometheus, Alertmanager and Grafana start with."""

import subprocess

import yaml

from tests.programs import program
from tests.system import ROOT

GRAFANA = ROOT / "deploy" / "grafana" / "provisioning"


def test_prometheus_takes_its_configuration() -> None:
    command = [program("promtool"), "check", "config", str(ROOT / "deploy/prometheus/prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alertmanager_takes_its_configuration() -> None:
    command = [program("amtool"), "check-config", str(ROOT / "deploy/alertmanager/alertmanager.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_prometheus_where_it_listens_and_the_dashboards_where_they_are_mounted() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    sources = yaml.safe_load((GRAFANA / "datasources/prometheus.yml").read_text())["datasources"]
    urls = {source["uid"]: source["url"] for source in sources}
    (listens,) = [flag for flag in compose["prometheus"]["command"] if "listen-address" in flag]
    assert urls == {"prometheus": f"http://{listens.partition('=')[2]}", "alertmanager": "http://alertmanager:9093"}
    (provider,) = yaml.safe_load((GRAFANA / "dashboards/wavemill.yml").read_text())["providers"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in compose["grafana"]["volumes"]
