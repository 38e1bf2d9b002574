"""What a service says to Prometheus, by Prometheus's own parser."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.processes import LOCALHOST

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Samples:
    """Every sample of an exposition, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scrape:
    """One scrape of a service on this machine."""

    def __init__(self, port: int) -> None:
        answer = httpx.get(f"http://{LOCALHOST}:{port}/metrics", timeout=30, trust_env=False)
        assert answer.status_code == 200, answer.text
        self.text = answer.text
        self.samples = parsed(answer.text)

    def value(self, name: str, **labels: str) -> float | None:
        """One value; None where it is missing."""
        return self.samples.get((f"wavemill_{name}", frozenset(labels.items())))

    def total(self, name: str, **labels: str) -> float:
        """The sum of all values whose labels are these and any others."""
        wanted = set(labels.items())
        return sum(
            value for (found, has), value in self.samples.items() if found == f"wavemill_{name}" and wanted <= set(has)
        )
