"""Each operation as a task: what it wants to be fed with in which pass, and its result at the end."""

from collections.abc import Sequence
from pathlib import Path

from services.worker.audio.decode import decode
from services.worker.audio.encoders import plan_encoding
from services.worker.audio.layouts import Mixer
from services.worker.audio.limits import Limits
from services.worker.audio.loudness import LoudnessMeter, Measurement
from services.worker.audio.normalize import Gain, corrected_gain, first_gain
from services.worker.audio.pcm import Pcm, Samples
from services.worker.audio.pipeline import Consumer, Control, run_pass
from services.worker.audio.probe import describe
from services.worker.audio.rendition import Rendition
from services.worker.audio.report import Artifact
from services.worker.audio.source import Source, open_source
from services.worker.audio.waveform import WaveformWriter, write_json
from shared.schema.operations import (
    LOSSY_FORMATS,
    AnyOperation,
    Loudness,
    Normalize,
    Probe,
    Transcode,
    Waveform,
    WaveformFormat,
)
from shared.schema.results import AnyResult, LoudnessResult, NormalizeResult, TranscodeResult, WaveformResult

# A second correction is seldom needed; at the lowest bit rates no number of them would do.
_MOST_CORRECTIONS = 2
_NO_LIMITS = Limits(decoded_samples=2**63)


class Workspace:
    """What the tasks of one run share: the source, where files go, and one meter for each channel layout."""

    def __init__(self, source: Source, output_dir: Path, scratch: Path) -> None:
        self.source = source
        self.pcm = source.pcm
        self.output_dir = output_dir
        self.scratch = scratch
        self.meters: dict[tuple[str, ...], MixedMeter] = {}

    def meter(self, channels: tuple[str, ...]) -> "MixedMeter":
        """The meter of the source's audio mixed to a layout; the same one for all who ask for that layout."""
        if channels not in self.meters:
            self.meters[channels] = MixedMeter(self.pcm, channels)
        return self.meters[channels]


class MixedMeter:
    """A consumer that measures the loudness of the source as mixed to a layout."""

    def __init__(self, pcm: Pcm, channels: tuple[str, ...]) -> None:
        self._mixer = Mixer(pcm.channels, channels)
        self._meter = LoudnessMeter(Pcm(pcm.sample_rate, channels, pcm.resolution))

    def add(self, samples: Samples) -> None:
        """Take in a block."""
        self._meter.add(self._mixer.mix(samples))

    def finish(self) -> None:
        """End of the audio."""
        self._meter.finish()

    def measurement(self) -> Measurement:
        """The measurement, once the pass has ended."""
        return self._meter.measurement()


class Task:
    """An operation under way; what it does not override, it does not need."""

    needs_more_passes = False

    def measuring(self) -> Sequence[Consumer]:
        """Consumers of the first pass that are quick enough for the thread between decoder and encoders."""
        return ()

    def encoding(self) -> Sequence[Consumer]:
        """Consumers of the first pass that want a thread of their own."""
        return ()

    def next_pass(self, control: Control) -> Sequence[Consumer]:
        """Consumers of another pass over the audio, asked for whenever one has ended, until nobody has any."""
        return ()

    def result(self, frames: int) -> AnyResult:
        """The result, after all passes; `frames` were decoded."""
        raise NotImplementedError

    def artifacts(self) -> Sequence[Artifact]:
        """The files that were written."""
        return ()

    def abort(self) -> None:
        """Close and remove what was begun. Comes instead of result, in any state."""


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
            integrated_lufs=_rounded(measured.integrated_lufs),
            range_lu=round(measured.range_lu, 2),
            momentary_max_lufs=_rounded(measured.momentary_max_lufs),
            short_term_max_lufs=_rounded(measured.short_term_max_lufs),
            true_peak_dbtp=_rounded(measured.true_peak_dbtp),
            sample_peak_dbfs=_rounded(measured.sample_peak_dbfs),
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


class TranscodeTask(Task):
    """The audio in another format."""

    def __init__(self, operation: Transcode, workspace: Workspace) -> None:
        plan = plan_encoding(operation, workspace.pcm)
        self._rendition = Rendition(str(operation.name), plan, workspace.pcm, workspace.output_dir)

    def encoding(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._rendition,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        plan = self._rendition.plan
        return TranscodeResult(
            format=plan.format,
            sample_rate=plan.sample_rate,
            channels=len(plan.channels),
            bitrate_kbps=plan.bitrate_kbps,
            duration_seconds=round(self._rendition.seconds, 6),
            artifact=self._rendition.path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return (self._rendition.artifact,)

    def abort(self) -> None:
        """See Task."""
        self._rendition.abort()


class NormalizeTask(Task):
    """A master at a target loudness. What is measured is what is written: the audio as mixed to the output."""

    needs_more_passes = True

    def __init__(self, operation: Normalize, workspace: Workspace) -> None:
        self._operation = operation
        self._workspace = workspace
        self._plan = plan_encoding(operation, workspace.pcm)
        self._meter = workspace.meter(self._plan.channels)
        self._renditions: list[Rendition] = []
        self._gain = Gain(0.0, limited_by_peak=False)
        self._written: Measurement | None = None

    def next_pass(self, control: Control) -> Sequence[Consumer]:
        """See Task."""
        measured = self._meter.measurement()
        if not self._renditions:
            gain: Gain | None = first_gain(measured, self._operation)
        elif self._operation.format in LOSSY_FORMATS and len(self._renditions) <= _MOST_CORRECTIONS:
            self._written = _measure_file(self._renditions[-1].path, control)
            gain = corrected_gain(self._gain, measured, self._written, self._operation)
        else:
            gain = None
        if gain is None:
            return ()
        self._gain, name, place = gain, str(self._operation.name), self._workspace
        self._renditions.append(Rendition(name, self._plan, place.pcm, place.output_dir, gain_db=gain.db))
        return (self._renditions[-1],)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        operation, measured, gain, rendition = (
            self._operation,
            self._meter.measurement(),
            self._gain,
            self._renditions[-1],
        )
        written = self._written
        return NormalizeResult(
            format=self._plan.format,
            sample_rate=self._plan.sample_rate,
            channels=len(self._plan.channels),
            bitrate_kbps=self._plan.bitrate_kbps,
            duration_seconds=round(rendition.seconds, 6),
            artifact=rendition.path.name,
            input_lufs=_rounded(measured.integrated_lufs),
            input_true_peak_dbtp=_rounded(measured.true_peak_dbtp),
            gain_db=round(gain.db, 2),
            output_lufs=_rounded(written.integrated_lufs) if written else _sum(measured.integrated_lufs, gain.db),
            output_true_peak_dbtp=(
                _rounded(written.true_peak_dbtp) if written else _sum(measured.true_peak_dbtp, gain.db)
            ),
            target_lufs=operation.target_lufs,
            true_peak_ceiling_dbtp=operation.true_peak_dbtp,
            limited_by_peak=gain.limited_by_peak,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return [rendition.artifact for rendition in self._renditions[-1:]]

    def abort(self) -> None:
        """See Task."""
        for rendition in self._renditions:
            rendition.abort()


def _measure_file(path: Path, control: Control) -> Measurement:
    """The loudness of a file of our own making."""
    with open_source(path, _NO_LIMITS) as source:
        meter = LoudnessMeter(source.pcm)
        run_pass(decode(source, _NO_LIMITS), (meter,), (), control)
    return meter.measurement()


def task_for(operation: AnyOperation, workspace: Workspace) -> Task:
    """The task of an operation.

    Raises:
        OSError: a file cannot be created.
    """
    match operation:
        case Probe():
            return ProbeTask(operation, workspace)
        case Loudness():
            return LoudnessTask(operation, workspace)
        case Waveform():
            return WaveformTask(operation, workspace)
        case Transcode():
            return TranscodeTask(operation, workspace)
        case Normalize():
            return NormalizeTask(operation, workspace)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _sum(value: float | None, gain_db: float) -> float | None:
    return None if value is None else round(value + gain_db, 2)
