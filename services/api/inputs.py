"""What a job is to work on: from what the client names to uploads that are there, or URLs that are fetched later."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.api import problems
from services.api.access import Caller
from services.api.destinations import Destinations
from services.api.problems import FieldError, ProblemError
from shared.blobs import BlobMissing, Blobs, input_key
from shared.filenames import artifact_filename
from shared.ingest import Ingest
from shared.schema.inputs import MAIN_INPUT, AnyInput, ArtifactInput, UploadInput, UrlInput
from shared.schema.jobs import JobRequest, JobSubmission, JobView
from shared.store.job_views import JobViews
from shared.store.records import InputSource
from shared.store.uploads import Uploads


@dataclass(frozen=True, slots=True)
class Chosen:
    """The inputs of a new job."""

    upload_id: UUID | None  # its own input; None where a source is that
    sources: Sequence[InputSource] = ()

    @property
    def is_to_be_fetched(self) -> bool:
        """Whether one of them has to come first."""
        return any(source.url is not None for source in self.sources)


class Inputs:
    """Chooses inputs."""

    def __init__(
        self, blobs: Blobs, uploads: Uploads, ingest: Ingest, views: JobViews, destinations: Destinations
    ) -> None:
        self._blobs = blobs
        self._uploads = uploads
        self._ingest = ingest
        self._views = views
        self._destinations = destinations

    async def choose(self, job: JobRequest, caller: Caller) -> Chosen:
        """The inputs that a request names; artifacts among them are uploads from now on.

        Raises:
            ProblemError: 422, one of them is not to be had.
            BlobStoreUnavailable: the blob store fails.
        """
        its_own = await self._source(MAIN_INPUT, job.input, caller, ["input"])
        further = await self.further(job, caller)
        if its_own.url is not None:
            return Chosen(None, (its_own, *further))
        return Chosen(its_own.upload_id, further)

    async def further(self, job: JobSubmission, caller: Caller, *, within: Sequence[str] = ()) -> Sequence[InputSource]:
        """The further ones; `within` is the path to them in the body. Errors as for choose."""
        return [
            await self._source(name, given, caller, [*within, "inputs", name]) for name, given in job.inputs.items()
        ]

    async def require(self, view: JobView) -> None:
        """See that the bytes of a job's inputs are still there, as far as they have come.

        Raises:
            ProblemError: 409, they are not.
            BlobStoreUnavailable: the blob store fails.
        """
        for upload in (view.input, *(further.upload for further in view.inputs.values())):
            if upload is not None and not await self._ingest.is_stored(upload):
                raise problems.input_gone()

    async def _source(self, name: str, given: AnyInput, caller: Caller, path: list[str]) -> InputSource:
        match given:
            case UploadInput():
                return InputSource(name, upload_id=given.id)
            case UrlInput():
                if errors := self._destinations.errors(given.url, [*path, "url"]):
                    raise problems.invalid(errors)
                return InputSource(name, url=str(given.url))
            case ArtifactInput():
                return InputSource(name, upload_id=await self._adopt(given, caller, path))

    async def _adopt(self, given: ArtifactInput, caller: Caller, path: list[str]) -> UUID:
        artifact = await self._views.artifact(given.job_id, given.name, owner=caller.owner)
        if artifact is None:
            raise _no_artifact(path)
        upload = await self._uploads.add(
            sha256=artifact.sha256,
            size_bytes=artifact.size_bytes,
            filename=artifact_filename(artifact.input_filename, artifact.name),
            key_id=caller.key_id,
        )
        if not await self._ingest.is_stored(upload):
            try:
                await self._blobs.copy(artifact.blob_key, input_key(artifact.sha256))
            except BlobMissing:
                raise _no_artifact(path) from None
        return upload.id


def upload_missing(job: JobSubmission, upload_id: UUID | None, *, within: Sequence[str] = ()) -> ProblemError:
    """422: an upload that the request names is not there."""
    detail = f"There is no upload {upload_id}, or it is no longer stored; send the file to /api/uploads first."
    paths = ([*within, *path] for path, given in uploads_of(job) if given == upload_id)
    return next((_wrong(path, detail) for path in paths), problems.input_gone())


def uploads_of(job: JobSubmission) -> Iterator[tuple[list[str], UUID]]:
    """The uploads that a request names, each with the path to its id in the request."""
    if isinstance(job, JobRequest) and isinstance(job.input, UploadInput):
        yield ["input", "id"], job.input.id
    for name, given in job.inputs.items():
        if isinstance(given, UploadInput):
            yield ["inputs", name, "id"], given.id


def _no_artifact(path: list[str]) -> ProblemError:
    detail = "There is no such artifact, or it is no longer stored; the job's `artifacts` lists those that it has."
    return _wrong([*path, "name"], detail)


def _wrong(path: list[str], detail: str) -> ProblemError:
    return problems.invalid([FieldError.at("body", path, detail)])
