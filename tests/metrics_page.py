"""The rows of docs/metrics.md, as the page and as expositions have them."""

import re
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
_OURS = "wavemill_"
_UNITS = {"seconds": "s", "bytes": "bytes"}
_ROW = re.compile(r"^\| `(wavemill_\w+)` \|.*\|$", re.MULTILINE)


def rows(exposition: str) -> dict[str, str]:
    """A row for each of our metrics: name, type, labels, unit, meaning."""
    return dict(_rows(exposition))


def _rows(exposition: str) -> Iterator[tuple[str, str]]:
    for family in text_string_to_metric_families(exposition):
        # One that has no series yet says nothing of its labels.
        if not family.name.startswith(_OURS) or not family.samples:
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = dict.fromkeys(label for sample in family.samples for label in sorted(sample.labels) if label != "le")
        unit = next((unit for word, unit in _UNITS.items() if word in re.split("_", family.name)), "")
        listed = ", ".join(f"`{label}`" for label in sorted(labels))
        yield name, f"| `{name}` | {family.type} | {listed} | {unit} | {family.documentation} |"


def rows_of_the_page() -> dict[str, str]:
    """The rows that the page has."""
    return {row[1]: row[0] for row in _ROW.finditer(PAGE.read_text())}
