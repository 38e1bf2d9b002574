"""What a job would do: the answer to a spec that is only to be validated."""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.jobs import JobSpec, Priority
from shared.schema.operations import (
    AnyOperation,
    AudioFormat,
    Loudness,
    Normalize,
    Probe,
    Silence,
    Spectrogram,
    Transcode,
    Waveform,
    WaveformFormat,
)
from shared.schema.names import Name

_AUDIO_FILES: Mapping[AudioFormat, tuple[str, str]] = {
    AudioFormat.MP3: ("mp3", "audio/mpeg"),
    AudioFormat.OPUS: ("opus", "audio/ogg"),
    AudioFormat.AAC: ("m4a", "audio/mp4"),
    AudioFormat.FLAC: ("flac", "audio/flac"),
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
    media_type: str


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
        PlannedArtifact(operation=str(operation.name), name=f"{operation.name}.{suffix}", media_type=media_type)
        for operation in spec.operations
        for suffix, media_type in _files(operation)
    )


def _files(operation: AnyOperation) -> tuple[tuple[str, str], ...]:
    """Suffix and media type of each file of an operation."""
    match operation:
        case Probe() | Loudness():
            return ()
        case Waveform():
            return tuple(_WAVEFORM_FILES[each] for each in dict.fromkeys(operation.formats))
        case Spectrogram():
            return (("png", "image/png"),)
        case Silence():
            return (("json", "application/json"),)
        case Transcode() | Normalize():
            return (_AUDIO_FILES[operation.format],)
    assert_never(operation)
