"""A job store, and short words for what the tests do with it."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from shared.schema.jobs import AttemptOutcome, JobSpec, JobView
from shared.store.backlog import Backlog
from shared.store.database import Database
from shared.store.job_views import JobViews
from shared.store.jobs import Jobs
from shared.store.records import Claim, NewArtifact, Usage
from shared.store.uploads import Uploads

SPEC = JobSpec.model_validate({"operations": [{"op": "loudness"}, {"op": "transcode", "format": "mp3"}]})
USAGE = Usage(audio_seconds=44.0, cpu_seconds=1.5)
ARTIFACT = NewArtifact("transcode.mp3", "artifacts/x/1/transcode.mp3", "audio/mpeg", 3, "ab" * 32)
RESULTS = {
    "transcode": {
        "op": "transcode",
        "format": "mp3",
        "sample_rate": 44100,
        "channels": 2,
        "bitrate_kbps": 128,
        "duration_seconds": 44.0,
        "artifact": "transcode.mp3",
    }
}


class Life:
    """A store, and short words for what the tests do with it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs = Jobs(database)
        self.views = JobViews(database)
        self.backlog = Backlog(database)

    async def create(self, max_attempts: int = 4, key_id: UUID | None = None) -> UUID:
        upload = await Uploads(self.database).add(sha256="cd" * 32, size_bytes=3, filename="voice.wav", key_id=key_id)
        created = await self.jobs.create(
            SPEC, upload_id=upload.id, queue="default", max_attempts=max_attempts, key_id=key_id, owner=key_id
        )
        return created.event.job_id

    async def claim(self, job_id: UUID, lease_seconds: float = 30.0) -> Claim:
        claim = await self.jobs.claim(job_id, worker="host/1/2.00", lease_seconds=lease_seconds)
        assert claim is not None
        return claim

    async def view(self, job_id: UUID) -> JobView:
        view = await self.views.get(job_id)
        assert view is not None
        return view


@pytest_asyncio.fixture
async def life(database: Database) -> AsyncIterator[Life]:
    yield Life(database)


def outcomes(view: JobView) -> list[AttemptOutcome | None]:
    return [attempt.outcome for attempt in view.attempts]
