"""The way into the audio engine: a file and a list of operations in, results and files out, from one decode."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.worker.audio.allocation import keep_freed_memory
from services.worker.audio.decode import decode
from services.worker.audio.errors import Cancelled
from services.worker.audio.limits import Limits
from services.worker.audio.pipeline import Control, run_pass
from services.worker.audio.report import Artifact, Report
from services.worker.audio.source import open_source
from services.worker.audio.spool import Spool
from services.worker.audio.tasks import Task, Workspace, task_for
from services.worker.audio.timing import Stopwatches
from shared.schema.operations import AnyOperation, with_names

__all__ = ["Artifact", "Cancelled", "Limits", "Report", "process"]


def _no_progress(fraction: float) -> None:
    """Nobody wants to know."""


def _never() -> bool:
    return False


def process(
    source: Path,
    operations: Sequence[AnyOperation],
    output_dir: Path,
    *,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    on_progress: Callable[[float], None] = _no_progress,
    is_cancelled: Callable[[], bool] = _never,
    source_name: str | None = None,
) -> Report:
    """Do all operations on one input, decoding it once.

    Args:
        source: the input.
        operations: what to do; an operation without a name gets one.
        output_dir: an existing directory for the artifacts. While it runs, a hidden scratch directory in it holds
            the decoded audio if an operation needs it twice: 4 bytes a sample, 2 for sources of 16 bits.
        limits: how large the input may be.
        on_progress: told the fraction done, 0 to 1 and never falling, about ten times a second, in this thread.
        is_cancelled: asked as often, in this thread.
        source_name: the input's name as its owner knows it; its extension helps to tell the format.

    Raises:
        AudioError: the input is at fault, or `Cancelled`.
        OSError, MemoryError: the machine is.
        ValueError: two operations have the same name.
        In each case no artifact is left behind, and no thread.
    """
    keep_freed_memory()
    control = Control(on_progress, is_cancelled)
    control.poll()
    named = with_names(tuple(operations))
    with (
        tempfile.TemporaryDirectory(prefix=".scratch-", dir=output_dir) as scratch,
        open_source(source, limits, source_name) as opened,
        _tasks(named, Workspace(opened, output_dir, Path(scratch))) as (workspace, tasks),
    ):
        watches = Stopwatches([operation.op for operation in named])
        frames = _run(workspace, tasks, watches, limits, control)
        report = Report(
            {str(operation.name): task.result(frames) for operation, task in zip(named, tasks, strict=True)},
            tuple(artifact for task in tasks for artifact in task.artifacts()),
            frames / opened.pcm.sample_rate,
            watches.timings(),
        )
    control.done()
    return report


@contextmanager
def _tasks(operations: Sequence[AnyOperation], workspace: Workspace) -> Iterator[tuple[Workspace, Sequence[Task]]]:
    tasks: list[Task] = []
    try:
        for operation in operations:
            tasks.append(task_for(operation, workspace))  # noqa: PERF401 - those before a failing one are aborted
        yield workspace, tasks
    except BaseException:
        for task in tasks:
            task.abort()
        raise


def _run(workspace: Workspace, tasks: Sequence[Task], watches: Stopwatches, limits: Limits, control: Control) -> int:
    """All passes: one over the input, and more over the spooled audio while a task asks for them."""
    timed = list(zip(tasks, watches.operations, strict=True))
    measuring = [watches.meter.consumer(meter) for meter in workspace.meters.values()]
    measuring += (watch.consumer(consumer) for task, watch in timed for consumer in task.measuring())
    encoding = [watch.consumer(consumer) for task, watch in timed for consumer in task.encoding()]
    blocks = watches.decode.blocks(iter(decode(workspace.source, limits)))
    if not any(task.needs_more_passes for task in tasks):
        return run_pass(blocks, measuring, encoding, control)
    spool = Spool(workspace.scratch / "decoded", workspace.pcm)
    try:
        control.next_stage()
        frames = run_pass(blocks, [*measuring, spool], encoding, control)
        control.next_stage()
        while consumers := [watch.consumer(consumer) for task, watch in timed for consumer in task.next_pass(control)]:
            run_pass(spool.blocks(), (), consumers, control)
            control.next_stage()
    finally:
        spool.abort()
    return frames
