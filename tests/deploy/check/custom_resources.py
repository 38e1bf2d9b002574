"""Checks resources of KEDA and of prometheus-operator against the schemas that these publish.

A program of its own, run by tests.deploy.check with the packages that it imports: cloudcoil's models are generated from
the published custom resource definitions. Exit code 1 says that a resource in one of
the YAML files is wrong, or has a field that its definition does not have.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import BaseModel, ValidationError

MODELS: dict[tuple[str, str], type[BaseModel]] = {
    ("keda.sh/v1alpha1", "ScaledObject"): ScaledObject,
    ("keda.sh/v1alpha1", "TriggerAuthentication"): TriggerAuthentication,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PrometheusRule,
    ("monitoring.coreos.com/v1", "ServiceMonitor"): ServiceMonitor,
}


def complaints(resource: dict[str, Any]) -> list[str]:
    """What is wrong with a resource that is one of MODELS."""
    model = MODELS[resource["apiVersion"], resource["kind"]]
    try:
        understood = model.model_validate(resource)
    except ValidationError as error:
        return [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
    # The models drop what they do not know: what does not come back is no field of the definition.
    return unknown(resource, understood.model_dump(mode="json", by_alias=True, exclude_unset=True), "")


def unknown(given: object, understood: object, path: str) -> list[str]:
    """Paths of fields that are in one and not in the other."""
    if isinstance(given, dict) and isinstance(understood, dict):
        lost = [f"{path}.{key}: not a field of the definition" for key in given if key not in understood]
        return lost + [
            line for key in given if key in understood for line in unknown(given[key], understood[key], f"{path}.{key}")
        ]
    if isinstance(given, list) and isinstance(understood, list):
        pairs = enumerate(zip(given, understood, strict=True))
        return [line for index, pair in pairs for line in unknown(*pair, f"{path}[{index}]")]
    return []


def resources() -> Iterator[dict[str, Any]]:
    """Those of the files named on the command line that are one of MODELS."""
    for path in sys.argv[1:]:
        for resource in yaml.safe_load_all(Path(path).read_text()):
            if resource is not None and (resource["apiVersion"], resource["kind"]) in MODELS:
                yield resource


def main() -> int:
    """Exit code 1 when something is wrong; 2 when nothing was there to check."""
    checked = failed = 0
    for resource in resources():
        checked += 1
        for line in complaints(resource):
            failed += 1
            print(f"{resource['kind']} {resource['metadata']['name']}: {line}")  # noqa: T201 - what it is for
    print(f"{checked} custom resources, {failed} complaints")  # noqa: T201 - what it is for
    return 1 if failed else 0 if checked else 2


if __name__ == "__main__":
    sys.exit(main())
