"""Operations that look at the audio and leave it as it is."""

from collections.abc import Sequence

from services.worker.audio.pipeline import Consumer
from services.worker.audio.probe import describe
from services.worker.audio.report import Artifact
from services.worker.audio.silence import SilenceWriter
from services.worker.audio.spectrogram import SpectrogramWriter
from services.worker.audio.tasks.base import Task, Workspace, rounded
from services.worker.audio.waveform import WaveformWriter, write_json
from shared.schema.operations import Loudness, Probe, Silence, Spectrogram, Waveform, WaveformFormat
from shared.schema.results import (
    MOST_SILENCES,
    AnyResult,
    LoudnessResult,
    SilenceResult,
    SilentInterval,
    SpectrogramResult,
    WaveformResult,
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


class WaveformTask(Task):
    """Waveform data; JSON is made from the .dat, which is scratch where only JSON was asked for."""

    def __init__(self, operation: Waveform, workspace: Workspace) -> None:
        self._operation = operation
        self._sample_rate = workspace.pcm.sample_rate
        self._formats = tuple(dict.fromkeys(operation.formats))
        directory = workspace.output_dir if WaveformFormat.DAT in self._formats else workspace.scratch
        self._dat = directory / f"{operation.name}.dat"
        self._json = workspace.output_dir / f"{operation.name}.json"
        self._writer = WaveformWriter(self._dat, workspace.pcm, operation.samples_per_pixel, operation.bits)

    def measuring(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._writer,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        if WaveformFormat.JSON in self._formats:
            write_json(self._dat, self._json)
        return WaveformResult(
            sample_rate=self._sample_rate,
            samples_per_pixel=self._operation.samples_per_pixel,
            bits=self._operation.bits,
            length=self._writer.length,
            artifacts=tuple(artifact.name for artifact in self.artifacts()),
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        files = {
            WaveformFormat.DAT: (self._dat, "application/octet-stream"),
            WaveformFormat.JSON: (self._json, "application/json"),
        }
        return [Artifact(files[form][0].name, *files[form]) for form in self._formats]

    def abort(self) -> None:
        """See Task."""
        self._writer.abort()
        self._dat.unlink(missing_ok=True)
        self._json.unlink(missing_ok=True)


class SpectrogramTask(Task):
    """A picture of the spectrum over time."""

    def __init__(self, operation: Spectrogram, workspace: Workspace) -> None:
        self._operation = operation
        self._sample_rate = workspace.pcm.sample_rate
        self._path = workspace.output_dir / f"{operation.name}.png"
        self._writer = SpectrogramWriter(self._path, workspace.pcm, operation)

    def encoding(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._writer,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        operation = self._operation
        return SpectrogramResult(
            width=operation.width,
            height=operation.height,
            frequency_scale=operation.frequency_scale.value,
            min_hz=self._writer.axis.min_hz,
            max_hz=self._writer.axis.max_hz,
            seconds_per_pixel=frames / self._sample_rate / operation.width,
            range_db=operation.range_db,
            colors=operation.colors,
            artifact=self._path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return (Artifact(self._path.name, self._path, "image/png"),)

    def abort(self) -> None:
        """See Task."""
        self._path.unlink(missing_ok=True)


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
