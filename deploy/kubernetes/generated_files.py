"""Writes what Kubernetes takes from the rules and dashboards that docker-compose.yml mounts.

kustomize reads no file outside of a kustomization's own folder, and cannot make a PrometheusRule of a file: so the
dashboards get a kustomization beside them, and the rules a copy in their resource. A test says when these differ.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
_HEAD = "# Written by `make docs` from the files of {source}; edit those.\n"


def rules() -> Mapping[str, Any]:
    """The PrometheusRule: the groups of every file, in the order of the files' names."""
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))]
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "wavemill"},
        "spec": {"groups": [group for file in files for group in file["groups"]]},
    }


def dashboards() -> Mapping[str, Any]:
    """The kustomization beside the dashboards: a ConfigMap for each, with the label of Grafana's sidecar."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "generatorOptions": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
        "configMapGenerator": [
            {"name": f"wavemill-dashboard-{path.stem}", "files": [path.name]}
            for path in sorted(DASHBOARDS.glob("*.json"))
        ],
    }


def files() -> Mapping[Path, str]:
    """What each file is to hold."""
    return {
        ROOT / "deploy/kubernetes/components/prometheus-operator/rules.yaml": _text(rules(), "deploy/prometheus/rules"),
        DASHBOARDS / "kustomization.yaml": _text(dashboards(), "deploy/grafana/dashboards"),
    }


def _text(content: Mapping[str, Any], source: str) -> str:
    return _HEAD.format(source=source) + yaml.safe_dump(content, sort_keys=False, width=118, allow_unicode=True)


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
