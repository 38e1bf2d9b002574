"""The rules for audiobooks."""

from collections.abc import Sequence

from services.worker.audio.acx import AcxMeter
from services.worker.audio.pipeline import Consumer
from services.worker.audio.tasks.base import Task, Workspace
from shared.schema.operations import Acx
from shared.schema.results import AcxResult, AnyResult


class AcxTask(Task):
    """The input held against the rules of ACX; edited, it is no file any more, and its format is left out."""

    def __init__(self, operation: Acx, workspace: Workspace) -> None:
        self._source = workspace.source if workspace.chain is None else None
        self._meter = AcxMeter(workspace.pcm)

    def measuring(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._meter,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        report = self._meter.report(self._source)
        return AcxResult(passed=report.passed, rules=report.rules)
