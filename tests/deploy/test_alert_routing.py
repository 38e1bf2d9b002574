"""Alertmanager's routes, by amtool: who is told of which alert."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.test_alert_rules import ALERTS
from tests.programs import program
from tests.system import ROOT

FILE = ROOT / "deploy/alertmanager/alertmanager.yml"
_RECEIVERS = {"critical": "page", "warning": "ticket"}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_reaches_who_has_to_act(name: str) -> None:
    labels = {"alertname": name, **ALERTS[name]["labels"]}
    command = [
        *(program("amtool"), "config", "routes", "test", f"--config.file={FILE}"),
        f"--verify.receivers={_RECEIVERS[labels['severity']]}",
        *(f"{label}={value}" for label, value in labels.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_keeps_alerts_back_names_alerts_that_there_are() -> None:
    configuration: dict[str, Any] = yaml.safe_load(FILE.read_text())
    matchers = [
        matcher
        for rule in configuration["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    named = {name for matcher in matchers for name in re.findall(r"[A-Z]\w+", matcher)}
    assert named
    assert named - ALERTS.keys() == set()
    components = {rule["labels"]["component"] for rule in ALERTS.values()}
    assert set(re.findall(r'component =~ "(.*)"', "\n".join(matchers))[0].split("|")) <= components
