"""Operations that write audio."""

from collections.abc import Sequence
from dataclasses import replace

from services.worker.audio.encoders import Labels, loudness_tags, plan_encoding
from services.worker.audio.pipeline import Consumer, Control
from services.worker.audio.rendition import Rendition
from services.worker.audio.report import Artifact
from services.worker.audio.tasks.base import Task, Workspace
from shared.schema.operations import Transcode
from shared.schema.results import AnyResult, TranscodeResult


class TranscodeTask(Task):
    """The audio in another format. Loudness tags stand in front of it in the file: they take a pass more."""

    def __init__(self, operation: Transcode, workspace: Workspace) -> None:
        self._operation = operation
        self._workspace = workspace
        self._plan = plan_encoding(operation, workspace.pcm)
        self._renditions: list[Rendition] = []
        if operation.loudness_tags:
            workspace.keep()
            self._meter = workspace.meter(self._plan.channels)
        else:
            self._begin(workspace.labels(operation))

    def encoding(self) -> Sequence[Consumer]:
        """See Task."""
        return self._renditions

    def next_pass(self, control: Control) -> Sequence[tuple[Workspace, Consumer]]:
        """See Task."""
        if self._renditions:
            return ()
        tags = loudness_tags(self._plan.format, self._meter.measurement())
        self._begin(replace(self._workspace.labels(self._operation), loudness=tags))
        return [(self._workspace, rendition) for rendition in self._renditions]

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
