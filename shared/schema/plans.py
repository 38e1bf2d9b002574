"""What a job would do: the answer to a spec that is only to be validated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.jobs import JobSpec, Priority
from shared.schema.names import Name
from shared.schema.operations import (
    Acx,
    AnyOperation,
    AudioFormat,
    Encoding,
    Loudness,
    Normalize,
    Probe,
    Silence,
    Spectrogram,
    Split,
    Transcode,
    Waveform,
    WaveformFormat,
)

_AUDIO_FILES: Mapping[AudioFormat, tuple[str, str]] = {
    AudioFormat.MP3: ("mp3", "audio/mpeg"),
    AudioFormat.OPUS: ("opus", "audio/ogg"),
    AudioFormat.AAC: ("m4a", "audio/mp4"),
    AudioFormat.FLAC: ("flac", "audio/flac"),
    AudioFormat.ALAC: ("m4a", "audio/mp4"),
    AudioFormat.WAV: ("wav", "audio/wav"),
}
_WAVEFORM_FILES: Mapping[WaveformFormat, tuple[str, str]] = {
    WaveformFormat.DAT: ("dat", "application/octet-stream"),
    WaveformFormat.JSON: ("json", "application/json"),
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
        PlannedArtifact(operation=str(operation.name), name=file.name, media_type=file.media_type, certain=file.certain)
        for operation in spec.operations
        for file in _files(operation, str(operation.name))
    )


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    media_type: str
    certain: bool = True


def _files(operation: AnyOperation, stem: str) -> Iterable[_File]:
    match operation:
        case Probe() | Loudness() | Acx():
            pass
        case Waveform():
            yield from (_file(stem, *_WAVEFORM_FILES[each]) for each in dict.fromkeys(operation.formats))
        case Spectrogram():
            yield _file(stem, "png", "image/png")
        case Silence():
            yield _file(stem, "json", "application/json")
        case Transcode():
            yield _audio_file(stem, operation)
        case Normalize():
            yield _audio_file(stem, operation)
            yield from (_audio_file(f"{stem}-{track}", operation) for track in operation.album)
        case Split():
            if operation.files:
                yield replace(_audio_file(f"{stem}-001", operation), certain=False)
            yield _file(stem, "json", "application/json")
        case _:
            assert_never(operation)


def _file(stem: str, suffix: str, media_type: str) -> _File:
    return _File(f"{stem}.{suffix}", media_type)


def _audio_file(stem: str, encoding: Encoding) -> _File:
    return _file(stem, *_AUDIO_FILES[encoding.format])
