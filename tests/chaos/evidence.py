"""What is left after a run: the rows, what the witness wrote down, the blobs, and what the clients were told."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.chaos.load import Submission
from tests.chaos.testbed import looking

TERMINAL = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True, slots=True)
class JobRow:
    """A row of `jobs`, with its upload's name and digest."""

    id: str
    filename: str
    input_sha256: str
    status: str
    version: int
    attempt: int
    cancel_requested: bool
    results: Mapping[str, Any] | None
    error_code: str | None
    poisoned: bool


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A row of `attempts`."""

    job_id: str
    number: int
    outcome: str | None
    ended: bool


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """A row of `artifacts`."""

    job_id: str
    name: str
    attempt: int
    blob_key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Change:
    """What the witness saw of a job's row: a change of its status, version or attempt, or a write after its end."""

    job_id: str
    at: datetime
    old_status: str | None
    new_status: str
    old_version: int | None
    new_version: int
    attempt: int
    old_lease_expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A write to an attempt that had ended."""

    job_id: str
    number: int
    old_outcome: str
    new_outcome: str | None


@dataclass(frozen=True, slots=True)
class Blob:
    """A file in the blob store."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it."""

    submissions: Sequence[Submission]
    jobs: Sequence[JobRow]
    attempts: Sequence[AttemptRow]
    artifacts: Sequence[ArtifactRow]
    changes: Sequence[Change]
    rewritten: Sequence[Rewritten]
    blobs: Mapping[str, Blob]


_JOBS = """
    SELECT jobs.id::text, uploads.filename, uploads.sha256 AS input_sha256, status, version, attempt, cancel_requested,
        results, error_code, poisoned
    FROM jobs JOIN uploads ON uploads.id = upload_id ORDER BY jobs.id
"""
_ATTEMPTS = """
    SELECT job_id::text, number, outcome, ended_at IS NOT NULL AS ended FROM attempts ORDER BY job_id, number
"""
_ARTIFACTS = "SELECT job_id::text, name, attempt, blob_key, size_bytes, sha256 FROM artifacts ORDER BY job_id, name"
_CHANGES = """
    SELECT job_id::text, at, old_status, new_status, old_version, new_version, attempt, old_lease_expires_at
    FROM chaos_changes ORDER BY n
"""
_REWRITTEN = "SELECT job_id::text, number, old_outcome, new_outcome FROM chaos_rewritten"


async def collect(database_url: str, blobs: Path, submissions: Sequence[Submission]) -> Evidence:
    """Read everything, once no service runs any more."""
    async with looking(database_url) as connection:
        jobs = [dict(row) for row in await connection.fetch(_JOBS)]
        for row in jobs:
            row["results"] = None if row["results"] is None else json.loads(row["results"])
        return Evidence(
            submissions=submissions,
            jobs=[JobRow(**row) for row in jobs],
            attempts=[AttemptRow(**row) for row in await connection.fetch(_ATTEMPTS)],
            artifacts=[ArtifactRow(**row) for row in await connection.fetch(_ARTIFACTS)],
            changes=[Change(**row) for row in await connection.fetch(_CHANGES)],
            rewritten=[Rewritten(**row) for row in await connection.fetch(_REWRITTEN)],
            blobs=_blobs(blobs),
        )


def _blobs(folder: Path) -> Mapping[str, Blob]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found[str(path.relative_to(folder))] = Blob(len(data), hashlib.sha256(data).hexdigest())
    return found
