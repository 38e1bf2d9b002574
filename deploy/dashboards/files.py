"""The dashboards as the files that Grafana reads."""

import json
from collections.abc import Mapping
from pathlib import Path

from deploy.dashboards import job, jobs, overview, stores, workers

FOLDER = Path(__file__).resolve().parents[1] / "grafana" / "dashboards"


def contents() -> Mapping[str, str]:
    """Text by file name."""
    return {
        f"{module.__name__.rpartition('.')[2]}.json": json.dumps(module.DASHBOARD.json(), indent=2) + "\n"
        for module in (overview, jobs, workers, stores, job)
    }
