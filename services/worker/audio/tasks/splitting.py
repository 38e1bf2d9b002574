"""The audio in parts."""

import itertools
import json
from collections.abc import Sequence

from services.worker.audio.cuts import Cuts, CutsAtSilence, CutsAtTimes
from services.worker.audio.encoders import plan_encoding
from services.worker.audio.errors import TooManyParts
from services.worker.audio.parts import PartWriter
from services.worker.audio.pcm import Pcm, Samples
from services.worker.audio.pipeline import Consumer
from services.worker.audio.rendition import Rendition
from services.worker.audio.report import Artifact
from services.worker.audio.tasks.base import Task, Workspace
from shared.schema.operations import Split
from shared.schema.results import AnyResult, Part, SplitResult


class SplitTask(Task):
    """Files and a list of parts; a consumer of the audio."""

    def __init__(self, operation: Split, workspace: Workspace) -> None:
        self._operation = operation
        self._workspace = workspace
        self._rate = workspace.pcm.sample_rate
        self._path = workspace.output_dir / f"{operation.name}.json"
        self._plan = plan_encoding(operation, workspace.pcm)
        self._cuts = _cuts(operation, self._rate)
        self._starts = [0]
        self._writer: PartWriter | None = None
        if operation.files:
            hold = workspace.holds.hold()
            self._writer = PartWriter(workspace.pcm, self._plan, self._cuts.lead, hold, self._render)

    def encoding(self) -> Sequence[Consumer]:
        """See Task."""
        return (self,)

    def add(self, samples: Samples) -> None:
        """Take in a block.

        Raises:
            TooManyParts: there would be more than were allowed.
        """
        for frame in self._cuts.add(samples):
            self._starts.append(frame)
            if len(self._starts) > self._operation.max_parts:
                raise TooManyParts(
                    f"The split would give more than the {self._operation.max_parts} parts that are allowed: "
                    "ask for longer parts, for longer silences, or for a larger max_parts."
                )
            if self._writer is not None:
                self._writer.cut(frame)
        if self._writer is not None:
            self._writer.add(samples)

    def finish(self) -> None:
        """End of the audio."""
        if self._writer is not None:
            self._writer.finish()

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        files: list[Rendition | None] = [None] * len(self._starts)
        if self._writer is not None:
            files = [*self._writer.renditions]
        ends = [*self._starts[1 : len(files)], frames]
        parts = tuple(
            Part(
                start_seconds=round(start / self._rate, 6),
                end_seconds=round(end / self._rate, 6),
                artifact=None if file is None else file.path.name,
            )
            for start, end, file in zip(self._starts, ends, files, strict=False)
        )
        self._path.write_text(json.dumps({"parts": [part.model_dump() for part in parts]}, indent=1) + "\n")
        plan = self._plan if self._operation.files else None
        return SplitResult(
            parts=parts,
            format=None if plan is None else plan.format,
            sample_rate=None if plan is None else plan.sample_rate,
            channels=None if plan is None else len(plan.channels),
            bitrate_kbps=None if plan is None else plan.bitrate_kbps,
            artifact=self._path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        files = [] if self._writer is None else [rendition.artifact for rendition in self._writer.renditions]
        return [*files, Artifact(self._path.name, self._path, "application/json")]

    def abort(self) -> None:
        """See Task."""
        if self._writer is not None:
            self._writer.abort()
        self._path.unlink(missing_ok=True)

    def _render(self, number: int, pcm: Pcm) -> Rendition:
        place = self._workspace
        name = f"{self._operation.name}-{number:03}"
        return Rendition(name, self._plan, pcm, place.output_dir, place.labels(self._operation))


def _cuts(operation: Split, sample_rate: int) -> Cuts:
    if operation.at_silence is not None:
        return CutsAtSilence(sample_rate, operation.at_silence)
    every = operation.every_seconds
    times = operation.at_seconds if every is None else (number * every for number in itertools.count(1))
    return CutsAtTimes(round(seconds * sample_rate) for seconds in times)
