"""What Prometheus says of the project, through its published port."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import yaml

from tests.deploy.compose.project import Failed, wait_until
from tests.system import ROOT

# Two scrapes and a look at the DNS, with time to spare.
_SETTLED_SECONDS = 60.0
_ALERTS_CLEAR_SECONDS = 90.0
# They tell of what was lost or refused in the last minutes, as is right after crashes and restarts of the stores.
_TELL_OF_THE_PAST = frozenset({"ApiErrorBudgetBurnsFast", "AttemptsLost", "WorkerChildrenDie"})


class Prometheus:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def targets_up(self) -> Counter[str]:
        """Targets that answer, by job."""
        return Counter(target["labels"]["job"] for target in self._targets() if target["health"] == "up")

    def wait_for_targets(self, expected: Mapping[str, int]) -> str:
        """Wait until exactly these targets are there and up, by job; says how many they are.

        Raises:
            Failed: they are not in time.
        """

        def settled() -> bool:
            return self.targets_up() == Counter(expected) and len(self._targets()) == sum(expected.values())

        def complaint() -> str:
            sick = [f"{one['scrapeUrl']} ({one['lastError']})" for one in self._targets() if one["health"] != "up"]
            return f"targets up are {dict(self.targets_up())}, not {dict(expected)}; sick: {', '.join(sick)}"

        wait_until(settled, _SETTLED_SECONDS, complaint)
        return f"{sum(expected.values())} targets, all up"

    def check_rules(self) -> str:
        """See that it has loaded every rule of deploy/prometheus/rules/, and that each can be evaluated.

        Raises:
            Failed: one is missing or sick.
        """
        loaded = [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]
        written = _rules_written()
        if len(loaded) != written:
            raise Failed(f"Prometheus has loaded {len(loaded)} rules of {written}.")
        sick = [f"{rule['name']}: {rule.get('lastError')}" for rule in loaded if rule["health"] == "err"]
        if sick:
            raise Failed(f"Rules cannot be evaluated: {'; '.join(sick)}")
        return f"{written} rules loaded"

    def wait_until_quiet(self) -> str:
        """Wait until no alert fires but those that tell of the past; says that.

        Raises:
            Failed: some still do.
        """

        def firing() -> set[str]:
            alerts = self._get("/api/v1/alerts")["alerts"]
            return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"} - _TELL_OF_THE_PAST

        wait_until(lambda: not firing(), _ALERTS_CLEAR_SECONDS, lambda: f"alerts fire: {', '.join(sorted(firing()))}")
        return "no alert fires for what is so now"

    def value(self, expression: str) -> float:
        """Of an expression with one result; NaN without one."""
        result = self._get("/api/v1/query", query=expression)["result"]
        return float(result[0]["value"][1]) if result else float("nan")

    def _targets(self) -> list[dict[str, Any]]:
        targets: list[dict[str, Any]] = self._get("/api/v1/targets", state="active")["activeTargets"]
        return targets

    def _get(self, path: str, **parameters: str) -> Any:
        return self._client.get(path, params=parameters).raise_for_status().json()["data"]


def _rules_written() -> int:
    files = (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    groups = (group for file in files for group in yaml.safe_load(file.read_text())["groups"])
    return sum(len(group["rules"]) for group in groups)
