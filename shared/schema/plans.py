"""What a job would do: the answer to a spec that is only to be validated."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, assert_never

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.jobs import JobSpec, Priority
from shared.schema.names import Name
from shared.schema.operations import (
    Acx,
    AnyOperation,
    AudioFormat,
    Loudness,
    Normalize,
    Probe,
    Silence,
    Spectrogram,
    Split,
    Transcode,
    Waveform,
)

# As the engine names files (services/worker/audio); a test holds the two together.
_SUFFIXES: Mapping[AudioFormat, str] = {AudioFormat.AAC: "m4a", AudioFormat.ALAC: "m4a"}
_MEDIA_TYPES: Mapping[str, str] = {
    "csv": "text/csv",
    "dat": "application/octet-stream",
    "flac": "audio/flac",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
}


class PlannedArtifact(BaseModel):
    """A file that a job would make."""

    model_config = ConfigDict(frozen=True)

    operation: str = Field(description="Name of the operation that makes it.")
    name: str = Field(description="Its name among the job's artifacts.")
    media_type: str = Field(description="Its Content-Type.")
    certain: bool = Field(
        default=True,
        description="false: whether there is one, or how many more (`-002` and so on), the audio tells.",
    )


class JobPlan(BaseModel):
    """What a job would do."""

    model_config = ConfigDict(frozen=True)

    operations: tuple[AnyOperation, ...] = Field(
        description="Each with its name, and with every parameter that was left out."
    )
    artifacts: tuple[PlannedArtifact, ...] = Field(description="The files that it would make.")
    queue: str = Field(description="Where it would wait for a worker.")
    priority: Priority
    preset: Name | None
    metadata: dict[str, str]
    not_before: datetime | None = Field(description="When it would begin at the earliest; null: at once.")
    expires_in: int | None
    max_attempts: int = Field(description="How often it would be tried, where the environment fails.")


def planned_artifacts(spec: JobSpec) -> tuple[PlannedArtifact, ...]:
    """The files that the engine makes of a spec, which it names by the operations."""
    return tuple(
        PlannedArtifact(
            operation=str(operation.name),
            name=f"{file.stem}.{file.suffix}",
            media_type=_MEDIA_TYPES[file.suffix],
            certain=file.certain,
        )
        for operation in spec.operations
        for file in _files(operation, str(operation.name))
    )


class _File(NamedTuple):
    stem: str
    suffix: str
    certain: bool = True


def _files(operation: AnyOperation, stem: str) -> Iterable[_File]:  # noqa: C901 - a case for each operation
    match operation:
        case Acx():
            pass
        case Probe():
            # The cover that the input may have.
            yield from (_File(stem, suffix, certain=False) for suffix in ("jpg", "png") if operation.cover_art)
        case Loudness():
            yield from (_File(stem, suffix) for suffix in dict.fromkeys(operation.series))
        case Waveform():
            yield from (_File(stem, suffix) for suffix in dict.fromkeys(operation.formats))
        case Spectrogram():
            yield _File(stem, "png")
        case Silence():
            yield _File(stem, "json")
        case Transcode():
            yield _File(stem, _suffix(operation.format))
        case Normalize():
            for each in (stem, *(f"{stem}-{track}" for track in operation.album)):
                yield _File(each, _suffix(operation.format))
        case Split():
            if operation.files:
                yield _File(f"{stem}-001", _suffix(operation.format), certain=False)
            yield _File(stem, "json")
        case _:
            assert_never(operation)


def _suffix(audio: AudioFormat) -> str:
    return _SUFFIXES.get(audio, audio.value)
