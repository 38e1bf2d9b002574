"""The way into the audio engine: a file and a list of operations in, results and files out, from one decode."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from services.worker.audio.allocation import keep_freed_memory
from services.worker.audio.errors import Cancelled
from services.worker.audio.inputs import Extra, Inputs
from services.worker.audio.limits import Limits
from services.worker.audio.passes import Listener, Passes
from services.worker.audio.pipeline import Control
from services.worker.audio.products import keep_products_in_their_thread
from services.worker.audio.report import Artifact, Report
from services.worker.audio.source import open_source
from services.worker.audio.tasks import Workspaces, task_for
from services.worker.audio.timing import Stopwatches
from shared.schema.edits import Edited
from shared.schema.operations import AnyOperation, input_names, with_names
from shared.schema.results import AnyResult

__all__ = ["Artifact", "Cancelled", "Extra", "Limits", "Report", "process"]

_NO_EXTRAS: Mapping[str, Extra] = MappingProxyType({})


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
    extras: Mapping[str, Extra] = _NO_EXTRAS,
) -> Report:
    """Do all operations on one input, decoding it once.

    Args:
        source: the input.
        operations: what to do; an operation without a name gets one.
        output_dir: an existing directory for the artifacts. While it runs, a hidden scratch directory in it holds
            the audio if an operation needs it twice, and what an edit has to wait with: 4 bytes a sample, 2 for
            sources of 16 bits.
        limits: how large the input may be; with further inputs, all of them together.
        on_progress: told the fraction done, 0 to 1 and never falling, about ten times a second, in this thread.
        is_cancelled: asked as often, in this thread.
        source_name: the input's name as its owner knows it; its extension helps to tell the format.
        extras: further inputs by the names that operations call them, see `input_names`.

    Raises:
        AudioError: an input is at fault, or `Cancelled`.
        OSError, MemoryError: the machine is.
        ValueError: two operations have the same name, or one names an input that was not given.
        In each case no artifact is left behind, and no thread.
    """
    keep_freed_memory()
    keep_products_in_their_thread()
    control = Control(on_progress, is_cancelled)
    control.poll()
    named = with_names(tuple(operations))
    inputs = Inputs(extras, limits)
    inputs.check(input_names(named))
    with (
        tempfile.TemporaryDirectory(prefix=".scratch-", dir=output_dir) as scratch,
        open_source(source, limits, source_name) as opened,
        Workspaces(opened, inputs, output_dir, Path(scratch)) as workspaces,
    ):
        watches = Stopwatches([operation.op for operation in named])
        with _listeners(named, workspaces, watches) as listeners:
            seconds = Passes(workspaces, listeners, inputs, watches, control).run()
            report = Report(
                {str(operation.name): _result(listener) for operation, listener in zip(named, listeners, strict=True)},
                tuple(artifact for listener in listeners for artifact in listener.task.artifacts()),
                seconds,
                watches.timings(),
            )
    control.done()
    return report


@contextmanager
def _listeners(
    operations: Sequence[AnyOperation], workspaces: Workspaces, watches: Stopwatches
) -> Iterator[Sequence[Listener]]:
    listeners: list[Listener] = []
    try:
        for operation, watch in zip(operations, watches.operations, strict=True):
            workspace = workspaces.of(operation.edits if isinstance(operation, Edited) else ())
            # One by one: those before a failing one are aborted.
            listeners.append(Listener(task_for(operation, workspace, workspaces), workspace, watch))
        yield listeners
    except BaseException:
        for listener in listeners:
            listener.task.abort()
        raise


def _result(listener: Listener) -> AnyResult:
    return listener.task.result(listener.workspace.frames)
