"""schemathesis over all of the OpenAPI document, with all its checks: no 5xx, and no answer that is not documented."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.servers import RedisServer
from tests.integration.api.keyed import Keyed
from tests.system import System

# Answers that end when a job does, or never: no parameter and no Accept makes them shorter, and each would take up its
# request's whole time. The tests of event streams have them.
_ENDLESS = ("follow_all", "follow_job", "follow_batch")
# A schema cannot say all that is wrong with a request: an upload that is not there, a bit rate for a lossless format.
# What it can say is refused by any of HTTP's words for it.
_CONFIGURATION = """
hooks = "schemathesis_hooks"

[checks.positive_data_acceptance]
expected-statuses = [
    "2xx", "400", "401", "403", "404", "405", "409", "410", "412", "413", "415", "422", "429", "460", "507"
]

# tus has a word of its own for a request that does not say which version it speaks.
[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "406", "412", "415", "422"]

[checks.negative_data_rejection]
expected-statuses = [
    "400", "401", "403", "404", "405", "406", "408", "409", "410", "411", "412", "413", "415", "422", "429", "460"
]

# Two thirds of all cases were those of a job's spec in a form and in a preset: validate_job has them, without the rest.
[[operations]]
include-operation-id = ["create_job", "put_preset"]
phases.coverage.enabled = false
"""
_HOOKS = """
import schemathesis

schemathesis.serializer.alias("application/offset+octet-stream", "application/octet-stream")
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
"""


@pytest.fixture
def expendable(tmp_path: Path, sqlite_url: str, redis_server: RedisServer) -> Iterator[Keyed]:
    """An API of its own: what is let loose on it finds the administrator's key too, and revokes it."""
    with System(tmp_path, database_url=sqlite_url, redis=redis_server) as system:
        keyed = Keyed.on(system)
        system.start_api()
        yield keyed


async def test_every_answer_is_one_that_the_document_names(expendable: Keyed, tmp_path: Path) -> None:
    key = await expendable.make(scopes=["admin", "submit", "read"], limits={"requests_per_second": 0})
    (tmp_path / "schemathesis.toml").write_text(_CONFIGURATION)
    (tmp_path / "schemathesis_hooks.py").write_text(_HOOKS)
    arguments: list[str | Path] = [
        *(Path(sys.executable).with_name("st"), "run", f"{expendable.system.client.base_url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key.secret}", "--checks", "all"),
        *("--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--continue-on-failure", "--no-shrink"),
        *("--generation-deterministic", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
        *("--request-timeout", "20"),
        *(argument for endless in _ENDLESS for argument in ("--exclude-operation-id", endless)),
    ]
    ran = await asyncio.to_thread(
        subprocess.run,
        arguments,
        # Its cache is written where it runs.
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
    assert "unexpected error" not in expendable.system.log()
