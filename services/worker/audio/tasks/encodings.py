"""Operations that write audio."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.worker.audio.decode import decode
from services.worker.audio.encoders import Labels, loudness_tags, plan_encoding
from services.worker.audio.limits import Limits
from services.worker.audio.loudness import LoudnessMeter, Measurement
from services.worker.audio.normalize import GainSearch
from services.worker.audio.pipeline import Consumer, Control, run_pass
from services.worker.audio.rendition import Rendition
from services.worker.audio.report import Artifact
from services.worker.audio.source import open_source
from services.worker.audio.tasks.base import Task, Workspace, rounded
from shared.schema.operations import LOSSY_FORMATS, Normalize, Transcode
from shared.schema.results import AnyResult, NormalizeResult, TranscodeResult

_NO_LIMITS = Limits(decoded_samples=2**63)


class TranscodeTask(Task):
    """The audio in another format. Loudness tags stand in front of the audio, so that with them it takes a pass more."""

    def __init__(self, operation: Transcode, workspace: Workspace) -> None:
        self._operation = operation
        self._workspace = workspace
        self._plan = plan_encoding(operation, workspace.pcm)
        self._renditions: list[Rendition] = []
        self.needs_more_passes = operation.loudness_tags
        if operation.loudness_tags:
            self._meter = workspace.meter(self._plan.channels)
        else:
            self._begin(workspace.labels(operation))

    def encoding(self) -> Sequence[Consumer]:
        """See Task."""
        return self._renditions

    def next_pass(self, control: Control) -> Sequence[Consumer]:
        """See Task."""
        if self._renditions:
            return ()
        tags = loudness_tags(self._plan.format, self._meter.measurement())
        self._begin(replace(self._workspace.labels(self._operation), loudness=tags))
        return self._renditions

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        plan, rendition = self._plan, self._renditions[0]
        return TranscodeResult(
            format=plan.format,
            sample_rate=plan.sample_rate,
            channels=len(plan.channels),
            bitrate_kbps=plan.bitrate_kbps,
            duration_seconds=round(rendition.seconds, 6),
            artifact=rendition.path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return [rendition.artifact for rendition in self._renditions]

    def abort(self) -> None:
        """See Task."""
        for rendition in self._renditions:
            rendition.abort()

    def _begin(self, labels: Labels) -> None:
        place = self._workspace
        self._renditions.append(Rendition(str(self._operation.name), self._plan, place.pcm, place.output_dir, labels))


class NormalizeTask(Task):
    """A master at a target loudness. What is measured is what is written: the audio as mixed to the output."""

    needs_more_passes = True

    def __init__(self, operation: Normalize, workspace: Workspace) -> None:
        self._operation = operation
        self._workspace = workspace
        self._plan = plan_encoding(operation, workspace.pcm)
        self._meter = workspace.meter(self._plan.channels)
        self._renditions: list[Rendition] = []
        self._search: GainSearch | None = None
        self._written: Measurement | None = None

    def next_pass(self, control: Control) -> Sequence[Consumer]:
        """See Task."""
        if self._search is None:
            self._search = GainSearch(self._meter.measurement(), self._operation)
        elif not self._search.needs_measuring:
            return ()
        else:
            self._written = self._measure(self._renditions[-1], control)
            if not self._search.correct(self._written.integrated_lufs):
                return ()
        gain, place = self._search.gain, self._workspace
        ceiling = self._operation.true_peak_dbtp if gain.limited else None
        self._renditions.append(
            Rendition(
                str(self._operation.name),
                self._plan,
                place.pcm,
                place.output_dir,
                place.labels(self._operation),
                gain_db=gain.db,
                ceiling_dbtp=ceiling,
            )
        )
        return (self._renditions[-1],)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        operation, measured, rendition = self._operation, self._meter.measurement(), self._renditions[-1]
        search = self._search or GainSearch(measured, operation)
        gain = search.gain
        if self._written is not None:
            loudness, peak = self._written.integrated_lufs, self._written.true_peak_dbtp
        else:
            loudness, peak = _sum(measured.integrated_lufs, gain.db), _sum(measured.true_peak_dbtp, gain.db)
        return NormalizeResult(
            format=self._plan.format,
            sample_rate=self._plan.sample_rate,
            channels=len(self._plan.channels),
            bitrate_kbps=self._plan.bitrate_kbps,
            duration_seconds=round(rendition.seconds, 6),
            artifact=rendition.path.name,
            input_lufs=rounded(measured.integrated_lufs),
            input_true_peak_dbtp=rounded(measured.true_peak_dbtp),
            gain_db=round(gain.db, 2),
            method="limited" if gain.limited else "linear",
            largest_reduction_db=round(rendition.largest_reduction_db, 2),
            output_lufs=rounded(loudness),
            output_true_peak_dbtp=rounded(peak),
            target_lufs=operation.target_lufs,
            true_peak_ceiling_dbtp=operation.true_peak_dbtp,
            limited_by_peak=search.is_short_of_the_target(loudness),
        )

    def _measure(self, rendition: Rendition, control: Control) -> Measurement:
        """What came of the latest gain: of a lossy format, only the file tells."""
        if self._operation.format not in LOSSY_FORMATS and rendition.limited is not None:
            return rendition.limited
        return _measure_file(rendition.path, control)

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


def _sum(value: float | None, gain_db: float) -> float | None:
    return None if value is None else value + gain_db
