"""The inputs of an attempt and what it made: to and from the blob store."""

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path

from services.worker.audio.engine import Artifact
from services.worker.audio.inputs import Extra
from shared.blobs import BlobMissing, Blobs, artifact_key, input_key
from shared.filenames import content_disposition
from shared.store.records import Claim, NewArtifact

# No artifact is called so: the rest of the folder is theirs.
_INPUT = ".input"


class Materials:
    """Fetches inputs and stores artifacts."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def fetch(self, claim: Claim, scratch: Path) -> Path:
        """The input as a file: where the blob store is a folder, the blob itself, which nobody may write to.

        Raises:
            BlobMissing: the input is no longer stored.
            BlobStoreUnavailable: the store failed.
        """
        return await self._fetch(claim.input_sha256, scratch / _INPUT)

    async def fetch_extras(self, claim: Claim, scratch: Path) -> dict[str, Extra]:
        """The further inputs as files, by their names.

        Raises:
            BlobMissing: one of them is no longer stored.
            BlobStoreUnavailable: the store failed.
        """
        return {
            extra.name: Extra(await self._fetch(extra.sha256, scratch / f"{_INPUT}-{extra.name}"), extra.filename)
            for extra in claim.extras
        }

    async def _fetch(self, sha256: str, path: Path) -> Path:
        key = input_key(sha256)
        stored = self._blobs.local_path(key)
        if stored is not None:
            if not stored.exists():
                raise BlobMissing(key)
            return stored
        with path.open("wb") as file:
            async for piece in self._blobs.stream(key):
                await asyncio.to_thread(file.write, piece)
        return path

    async def store(self, claim: Claim, artifacts: Sequence[Artifact]) -> list[NewArtifact]:
        """Put the artifacts under the attempt's own prefix; nobody sees them before the job has succeeded.

        Raises:
            BlobStoreUnavailable: the store failed.
        """
        return [await self._store(claim, artifact) for artifact in artifacts]

    async def _store(self, claim: Claim, artifact: Artifact) -> NewArtifact:
        lease = claim.lease
        key = artifact_key(lease.job_id, lease.attempt, lease.token, artifact.name)
        sha256 = await asyncio.to_thread(_sha256, artifact.path)
        await self._blobs.put_file(
            key,
            artifact.path,
            media_type=artifact.media_type,
            disposition=content_disposition(claim.input_filename, artifact.name),
        )
        return NewArtifact(artifact.name, key, artifact.media_type, artifact.path.stat().st_size, sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
