"""What a run of the engine hands back."""

from dataclasses import dataclass
from pathlib import Path

from services.worker.audio.timing import Timing
from shared.schema.results import AnyResult


@dataclass(frozen=True)
class Artifact:
    """A file that an operation wrote; its stem is the operation's name."""

    name: str
    path: Path
    media_type: str


@dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
        results: by the operation's name.
        artifacts: the files in the caller's output_dir.
        audio_seconds: length of the decoded audio.
        timings: where the time went.
    """

    results: dict[str, AnyResult]
    artifacts: tuple[Artifact, ...]
    audio_seconds: float
    timings: tuple[Timing, ...] = ()
