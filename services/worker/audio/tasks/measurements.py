"""Operations that answer in numbers."""

from collections.abc import Sequence

from services.worker.audio.pipeline import Consumer
from services.worker.audio.probe import describe
from services.worker.audio.report import Artifact
from services.worker.audio.silence import SilenceWriter
from services.worker.audio.tasks.base import Task, Workspace, rounded
from shared.schema.operations import Loudness, Probe, Silence
from shared.schema.results import (
    MOST_SILENCES,
    AnyResult,
    LoudnessResult,
    SilenceResult,
    SilentInterval,
)


class ProbeTask(Task):
    """Container, streams and tags."""

    def __init__(self, operation: Probe, workspace: Workspace) -> None:
        self._source = workspace.source

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        return describe(self._source, frames)


class LoudnessTask(Task):
    """Loudness, range and peaks."""

    def __init__(self, operation: Loudness, workspace: Workspace) -> None:
        self._meter = workspace.meter(workspace.pcm.channels)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        measured = self._meter.measurement()
        return LoudnessResult(
            integrated_lufs=rounded(measured.integrated_lufs),
            range_lu=round(measured.range_lu, 2),
            momentary_max_lufs=rounded(measured.momentary_max_lufs),
            short_term_max_lufs=rounded(measured.short_term_max_lufs),
            true_peak_dbtp=rounded(measured.true_peak_dbtp),
            sample_peak_dbfs=rounded(measured.sample_peak_dbfs),
        )


class SilenceTask(Task):
    """Where nothing is heard; all of it in the JSON file, and as much as a result holds in the result."""

    def __init__(self, operation: Silence, workspace: Workspace) -> None:
        self._operation = operation
        self._path = workspace.output_dir / f"{operation.name}.json"
        self._writer = SilenceWriter(
            self._path, workspace.pcm, operation.threshold_dbfs, operation.min_seconds, keep=MOST_SILENCES
        )

    def measuring(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._writer,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        return SilenceResult(
            threshold_dbfs=self._operation.threshold_dbfs,
            min_seconds=self._operation.min_seconds,
            silences=tuple(SilentInterval(start_seconds=start, end_seconds=end) for start, end in self._writer.first),
            count=self._writer.count,
            silent_seconds=self._writer.silent_seconds,
            artifact=self._path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return (Artifact(self._path.name, self._path, "application/json"),)

    def abort(self) -> None:
        """See Task."""
        self._writer.abort()
        self._path.unlink(missing_ok=True)
