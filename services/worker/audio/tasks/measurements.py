"""Operations that answer in numbers."""

from collections.abc import Sequence
from pathlib import Path

from services.worker.audio.loudness import Measurement, gains, write_series
from services.worker.audio.pipeline import Consumer
from services.worker.audio.probe import describe
from services.worker.audio.report import Artifact
from services.worker.audio.silence import SilenceWriter
from services.worker.audio.tasks.base import Task, Workspace, rounded
from shared.schema.operations import Loudness, Probe, SeriesFormat, Silence
from shared.schema.results import (
    MOST_SILENCES,
    AnyResult,
    LoudnessResult,
    ReplayGain,
    SilenceResult,
    SilentInterval,
)


class ProbeTask(Task):
    """Container, streams, tags and chapters; the cover picture as a file if it is wanted."""

    def __init__(self, operation: Probe, workspace: Workspace) -> None:
        self._source = workspace.source
        self._cover = workspace.cover
        self._path: Path | None = None
        if operation.cover_art and self._cover is not None:
            self._path = workspace.output_dir / f"{operation.name}.{self._cover.extension}"
            self._path.write_bytes(self._cover.data)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        return describe(self._source, frames, self._cover, None if self._path is None else self._path.name)

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        if self._path is None or self._cover is None:
            return ()
        return (Artifact(self._path.name, self._path, self._cover.media_type),)

    def abort(self) -> None:
        """See Task."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


_SERIES_MEDIA_TYPES = {SeriesFormat.JSON: "application/json", SeriesFormat.CSV: "text/csv"}


class LoudnessTask(Task):
    """Loudness, range and peaks; loudness over time, and gains for players, if they are wanted."""

    def __init__(self, operation: Loudness, workspace: Workspace) -> None:
        self._operation = operation
        self._meter = workspace.meter(workspace.pcm.channels, dual_mono=operation.dual_mono)
        self._files = {form: workspace.output_dir / f"{operation.name}.{form}" for form in operation.series}

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        measured = self._meter.measurement()
        for form, path in self._files.items():
            write_series(path, self._meter.series(), form)
        return LoudnessResult(
            integrated_lufs=rounded(measured.integrated_lufs),
            range_lu=round(measured.range_lu, 2),
            momentary_max_lufs=rounded(measured.momentary_max_lufs),
            short_term_max_lufs=rounded(measured.short_term_max_lufs),
            true_peak_dbtp=rounded(measured.true_peak_dbtp),
            sample_peak_dbfs=rounded(measured.sample_peak_dbfs),
            replay_gain=_replay_gain(measured) if self._operation.replay_gain else None,
            artifacts=tuple(artifact.name for artifact in self.artifacts()),
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return [Artifact(path.name, path, _SERIES_MEDIA_TYPES[form]) for form, path in self._files.items()]

    def abort(self) -> None:
        """See Task."""
        for path in self._files.values():
            path.unlink(missing_ok=True)


def _replay_gain(measured: Measurement) -> ReplayGain:
    track = gains(measured)
    return ReplayGain(
        track_gain_db=round(track.track_gain_db, 2),
        track_peak=round(track.track_peak, 6),
        r128_track_gain=track.r128_track_gain,
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
