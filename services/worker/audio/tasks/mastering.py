"""Loudness normalisation: one file, or those of an album."""

from collections.abc import Sequence
from dataclasses import replace

from services.worker.audio.acx import AcxMeter
from services.worker.audio.decode import decode
from services.worker.audio.encoders import loudness_tags, plan_encoding
from services.worker.audio.limits import Limits
from services.worker.audio.loudness import LoudnessMeter, Measurement, measure_together
from services.worker.audio.normalize import Gain, GainSearch
from services.worker.audio.pipeline import Consumer, Control, run_pass
from services.worker.audio.rendition import Rendition
from services.worker.audio.report import Artifact
from services.worker.audio.source import open_source
from services.worker.audio.tasks.base import Task, Workspace, rounded
from services.worker.audio.tasks.workspaces import Workspaces
from shared.schema.operations import LOSSY_FORMATS, Normalize
from shared.schema.results import AcxReport, AlbumTrack, AnyResult, NormalizeResult

_NO_LIMITS = Limits(decoded_samples=2**63)


class NormalizeTask(Task):
    """A master at a target loudness, or one of each track of an album, all by the same gain.

    What is measured is what is written: the audio as edited, and as mixed to the output.
    """

    def __init__(self, operation: Normalize, workspaces: Workspaces) -> None:
        self._operation = operation
        self._tracks = [_Track(str(operation.name), None, operation, workspaces.of(operation.edits))]
        for name in operation.album:
            workspace = workspaces.of(operation.edits, name)
            self._tracks.append(_Track(f"{operation.name}-{name}", name, operation, workspace))
        self._search: GainSearch | None = None
        self._is_final = self._is_done = False

    def next_pass(self, control: Control) -> Sequence[tuple[Workspace, Consumer]]:
        """See Task."""
        if self._is_done:
            return ()
        if self._search is None:
            self._search = GainSearch(self._measured(), self._operation)
            # Where arithmetic tells how loud the files become, the first ones are the last.
            self._is_final = not self._search.needs_measuring
        elif self._is_final or not self._search.correct(self._rewritten(control)):
            if self._is_final or not self._operation.loudness_tags:
                self._finish(control)
                return ()
            # Once more the same: only now it is known what the tags in front of the audio are to say.
            self._is_final = True
        return [(track.workspace, track.render(self._search.gain, self._tags(track))) for track in self._tracks]

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        operation, measured, first = self._operation, self._measured(), self._tracks[0]
        search = self._search or GainSearch(measured, operation)
        gain, plan = search.gain, first.plan
        written = self._written()
        output = _came_to(measured, gain, written)
        return NormalizeResult(
            format=plan.format,
            sample_rate=plan.sample_rate,
            channels=len(plan.channels),
            bitrate_kbps=plan.bitrate_kbps,
            duration_seconds=round(first.rendition.seconds, 6),
            artifact=first.rendition.path.name,
            input_lufs=rounded(measured.integrated_lufs),
            input_true_peak_dbtp=rounded(measured.true_peak_dbtp),
            gain_db=round(gain.db, 2),
            method="limited" if gain.limited else "linear",
            largest_reduction_db=round(max(track.rendition.largest_reduction_db for track in self._tracks), 2),
            output_lufs=rounded(output.integrated_lufs),
            output_true_peak_dbtp=rounded(output.true_peak_dbtp),
            target_lufs=operation.target_lufs,
            true_peak_ceiling_dbtp=operation.true_peak_dbtp,
            limited_by_peak=search.is_short_of_the_target(output.integrated_lufs),
            tracks=tuple(track.described(gain) for track in self._tracks) if operation.album else (),
            acx=first.acx,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return [rendition.artifact for track in self._tracks for rendition in track.renditions[-1:]]

    def abort(self) -> None:
        """See Task."""
        for track in self._tracks:
            for rendition in track.renditions:
                rendition.abort()

    def _finish(self, control: Control) -> None:
        self._is_done = True
        if self._operation.check == "acx":
            for track in self._tracks:
                track.check(control)

    def _tags(self, track: "_Track") -> dict[str, str]:
        """Loudness tags of a file, if they are wanted and known."""
        if self._search is None or not self._is_final or not self._operation.loudness_tags:
            return {}
        gain = self._search.gain
        album = _came_to(self._measured(), gain, self._written()) if self._operation.album else None
        return loudness_tags(track.plan.format, track.came_to(gain), album)

    def _measured(self) -> Measurement:
        return measure_together([track.meter for track in self._tracks])

    def _rewritten(self, control: Control) -> float | None:
        """Loudness of what came of the latest gain."""
        for track in self._tracks:
            track.measure(control)
        written = self._written()
        return None if written is None else written.integrated_lufs

    def _written(self) -> Measurement | None:
        meters = [track.written for track in self._tracks if track.written is not None]
        return measure_together(meters) if meters else None


class _Track:
    """One file, rendered as often as it takes.

    Attributes:
        meter: of what goes in.
        renditions: all of them; the latest counts.
        written: the meter of what came of the latest gain; None where arithmetic tells.
        acx: the rules, where the finished file was held against them.
    """

    def __init__(self, stem: str, name: str | None, operation: Normalize, workspace: Workspace) -> None:
        workspace.keep()
        self.workspace = workspace
        self.plan = plan_encoding(operation, workspace.pcm)
        self.meter = workspace.meter(self.plan.channels, dual_mono=operation.dual_mono).loudness
        self.renditions: list[Rendition] = []
        self.written: LoudnessMeter | None = None
        self.acx: AcxReport | None = None
        self._stem = stem
        self._name = name
        self._operation = operation

    @property
    def rendition(self) -> Rendition:
        """The latest."""
        return self.renditions[-1]

    def render(self, gain: Gain, loudness: dict[str, str]) -> Rendition:
        """Begin another, with the loudness tags that are given."""
        operation, place = self._operation, self.workspace
        self.renditions.append(
            Rendition(
                self._stem,
                self.plan,
                place.pcm,
                place.output_dir,
                replace(place.labels(operation), loudness=loudness),
                gain_db=gain.db,
                ceiling_dbtp=operation.true_peak_dbtp if gain.limited else None,
                dual_mono=operation.dual_mono,
            )
        )
        return self.rendition

    def measure(self, control: Control) -> None:
        """Measure what came of the latest gain: of a lossy format, only the file tells."""
        self.written = self.rendition.limited
        if self.written is not None and self._operation.format not in LOSSY_FORMATS:
            return
        with open_source(self.rendition.path, _NO_LIMITS) as source:
            self.written = LoudnessMeter(source.pcm, dual_mono=self._operation.dual_mono)
            run_pass(decode(source, _NO_LIMITS), (self.written,), (), control)

    def check(self, control: Control) -> None:
        """Hold the finished file against the rules."""
        with open_source(self.rendition.path, _NO_LIMITS) as source:
            meter = AcxMeter(source.pcm)
            run_pass(decode(source, _NO_LIMITS), (meter,), (), control)
            self.acx = meter.report(source)

    def came_to(self, gain: Gain) -> Measurement:
        """Levels of the latest."""
        return _came_to(self.meter.measurement(), gain, None if self.written is None else self.written.measurement())

    def described(self, gain: Gain) -> AlbumTrack:
        """As one of several."""
        measured, output = self.meter.measurement(), self.came_to(gain)
        return AlbumTrack(
            input=self._name,
            input_lufs=rounded(measured.integrated_lufs),
            input_true_peak_dbtp=rounded(measured.true_peak_dbtp),
            output_lufs=rounded(output.integrated_lufs),
            output_true_peak_dbtp=rounded(output.true_peak_dbtp),
            duration_seconds=round(self.rendition.seconds, 6),
            artifact=self.rendition.path.name,
            acx=self.acx,
        )


def _came_to(measured: Measurement, gain: Gain, written: Measurement | None) -> Measurement:
    """Levels of an output: as measured of it, or else by arithmetic."""
    if written is not None:
        return written
    return replace(
        measured,
        integrated_lufs=_sum(measured.integrated_lufs, gain.db),
        true_peak_dbtp=_sum(measured.true_peak_dbtp, gain.db),
    )


def _sum(level: float | None, gain_db: float) -> float | None:
    return None if level is None else level + gain_db
