"""Prometheus's rules, by promtool: each alert has a case in which it fires and one in which it does not."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.metrics_page import rows_of_the_page
from tests.programs import program
from tests.system import ROOT

RULES = sorted((ROOT / "deploy/prometheus/rules").glob("*.yml"))
CASES = sorted((ROOT / "deploy/prometheus/tests").glob("*.yml"))


def rules() -> list[dict[str, Any]]:
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


ALERTS: Mapping[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run([program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_well_formed() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


@pytest.mark.parametrize("cases", CASES, ids=lambda file: file.stem)
def test_they_fire_when_they_should_and_only_then(cases: Path) -> None:
    promtool("test", "rules", cases)


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    fires: set[str] = set()
    is_quiet: set[str] = set()
    for file in CASES:
        for case in yaml.safe_load(file.read_text())["tests"]:
            # The case that is named after an alert is its own; others may look at it too.
            own, _, _ = case["name"].partition(":")
            for look in case["alert_rule_test"]:
                if look["alertname"] == own:
                    (fires if look["exp_alerts"] else is_quiet).add(own)
    assert len(ALERTS) >= 15
    assert ALERTS.keys() - fires == set()
    assert ALERTS.keys() - is_quiet == set()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == alert["annotations"].keys()
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    runbook = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    headings = re.findall(r"^#+ .*$", runbook, re.MULTILINE)
    assert headings == [f"# {name}", "## What it means", "## How to see it", "## What to do"]
    for section in re.split(r"^#+ .*$", runbook, flags=re.MULTILINE)[2:]:
        assert section.strip()


def test_there_is_no_runbook_without_an_alert() -> None:
    assert {file.stem for file in (ROOT / "docs/runbooks").glob("*.md")} == ALERTS.keys()


def test_the_page_on_monitoring_lists_every_alert_by_its_severity() -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    for severity in ("critical", "warning"):
        (listed,) = re.findall(rf"^`{severity}`: .*?\n\n", page, re.MULTILINE | re.DOTALL)
        links = re.findall(r"\[(\w+)\]\(runbooks/(\w+)\.md\)", listed)
        assert {name for name, _ in links} == {
            name for name, alert in ALERTS.items() if alert["labels"]["severity"] == severity
        }
        assert all(name == file for name, file in links)


def test_rules_and_runbooks_name_metrics_that_there_are() -> None:
    known = rows_of_the_page().keys()
    texts = {file: file.read_text() for file in (*RULES, *(ROOT / "docs/runbooks").glob("*.md"))}
    # What a rule records has colons, and is looked for among the rules.
    named = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for text in texts.values()
        for name in re.findall(r"(?<![:\w])wavemill_[a-z_0-9]+(?![:\w])", text)
    }
    assert named - known == set()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for text in texts.values() for name in re.findall(r"\b[a-z]+:wavemill_\w+:\w+", text)}
    assert used == recorded
