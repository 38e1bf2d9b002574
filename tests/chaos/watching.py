"""A real Prometheus with the product's rules, as they are, that watches a run; and which alerts should come of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deploy.local.monitoring_servers import PrometheusServer
from tests.chaos.evidence import Evidence
from tests.chaos.testbed import Testbed
from tests.chaos.verdict import WRONG_ALERT, Breach
from tests.prometheus import series

# So many lost attempts raise AttemptsLost, a minute after the last of them.
_LOST = 3
# What faults of seconds may raise, by design: they tell of errors and losses, however short the outage was.
_ALLOWED = frozenset(
    {"ApiErrorBudgetBurnsFast", "AttemptsLost", "JobPoisoned", "WorkerChildrenDie", "WorkerConnectsAgain"}
)


@contextmanager
def watching(testbed: Testbed) -> Iterator[PrometheusServer]:
    """Watch the services of a testbed."""
    with PrometheusServer(targets=testbed.scraped, interval_seconds=5) as prometheus:
        yield prometheus


@dataclass(frozen=True, slots=True)
class Alerts:
    """Names of the alerts of a run."""

    fired: frozenset[str]
    pending: frozenset[str]


def alerts(prometheus: PrometheusServer) -> Alerts:
    """Those that have fired at any time, and those that were about to."""
    return Alerts(_names(prometheus, "firing"), _names(prometheus, "pending"))


def _names(prometheus: PrometheusServer, state: str) -> frozenset[str]:
    found = series(prometheus, f'count by (alertname) (count_over_time(ALERTS{{alertstate="{state}"}}[1d]))')
    return frozenset(one["metric"]["alertname"] for one in found)


def breaches(seen: Alerts, evidence: Evidence) -> Sequence[Breach]:
    """Alerts that no fault explains, and one that was missed."""
    wrong = [
        Breach(WRONG_ALERT, f"{name} fired, and nothing had happened that it is for") for name in seen.fired - _ALLOWED
    ]
    lost = sum(attempt.outcome == "lost" for attempt in evidence.attempts)
    # A run may end before it fires.
    if lost >= _LOST and "AttemptsLost" not in seen.fired | seen.pending:
        wrong.append(Breach(WRONG_ALERT, f"{lost} attempts were lost, and AttemptsLost was not raised"))
    return wrong
