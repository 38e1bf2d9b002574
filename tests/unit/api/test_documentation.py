import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.api.app import VERSION, create_app
from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("data"))).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_operation_ids_make_a_pleasant_client(document: dict[str, Any]) -> None:
    assert {name: operation["operationId"] for name, operation in operations(document)} == {
        "POST /api/uploads": "create_upload",
        "OPTIONS /api/uploads/tus": "describe_tus",
        "POST /api/uploads/tus": "begin_tus_upload",
        "HEAD /api/uploads/tus/{upload_id}": "get_tus_offset",
        "PATCH /api/uploads/tus/{upload_id}": "continue_tus_upload",
        "DELETE /api/uploads/tus/{upload_id}": "end_tus_upload",
        "POST /api/uploads/presigned": "begin_presigned_upload",
        "POST /api/uploads/presigned/{upload_id}/complete": "complete_presigned_upload",
        "POST /api/jobs": "create_job",
        "GET /api/jobs": "list_jobs",
        "GET /api/jobs/{job_id}": "get_job",
        "DELETE /api/jobs/{job_id}": "delete_job",
        "POST /api/jobs:validate": "validate_job",
        "GET /api/presets": "list_presets",
        "GET /api/presets/{name}": "get_preset",
        "PUT /api/presets/{name}": "put_preset",
        "DELETE /api/presets/{name}": "delete_preset",
        "POST /api/jobs/{job_id}/cancel": "cancel_job",
        "POST /api/jobs/{job_id}/retry": "retry_job",
        "GET /api/jobs/{job_id}/events": "follow_job",
        "GET /api/jobs/{job_id}/artifacts/{name}": "get_artifact",
        "HEAD /api/jobs/{job_id}/artifacts/{name}": "head_artifact",
        "GET /api/jobs/{job_id}/artifacts.zip": "get_job_archive",
        "GET /api/events": "follow_all",
        "POST /api/batches": "create_batch",
        "GET /api/batches": "list_batches",
        "GET /api/batches/{batch_id}": "get_batch",
        "GET /api/batches/{batch_id}/jobs": "list_batch_jobs",
        "POST /api/batches/{batch_id}/cancel": "cancel_batch",
        "GET /api/batches/{batch_id}/events": "follow_batch",
        "GET /api/batches/{batch_id}/artifacts.zip": "get_batch_archive",
        "GET /api/webhooks": "list_webhooks",
        "POST /api/webhooks": "create_webhook",
        "GET /api/webhooks/{webhook_id}": "get_webhook",
        "PATCH /api/webhooks/{webhook_id}": "change_webhook",
        "DELETE /api/webhooks/{webhook_id}": "delete_webhook",
        "POST /api/webhooks/{webhook_id}/rotate": "rotate_webhook_secret",
        "POST /api/webhooks/{webhook_id}/ping": "ping_webhook",
        "GET /api/webhooks/{webhook_id}/deliveries": "list_deliveries",
        "POST /api/webhooks/{webhook_id}/deliveries/{delivery_id}/replay": "replay_delivery",
        "POST /api/keys": "create_key",
        "GET /api/keys": "list_keys",
        "GET /api/keys/{key_id}": "get_key",
        "POST /api/keys/{key_id}/rotate": "rotate_key",
        "DELETE /api/keys/{key_id}": "revoke_key",
        "GET /api/operations": "list_operations",
        "GET /healthz": "get_liveness",
        "GET /readyz": "get_readiness",
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert "#/components/schemas/JobRequest" in found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert "500" in operation["responses"], name
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_both_bodies_of_a_job_are_described(document: dict[str, Any]) -> None:
    content = document["paths"]["/api/jobs"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    assert content["multipart/form-data"]["schema"]["required"] == ["file", "spec"]
    operation = document["components"]["schemas"]["JobRequest"]["properties"]["operations"]["anyOf"][0]["items"]
    assert operation["discriminator"]["propertyName"] == "op"


def test_the_version_is_the_project_s() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
