"""All passes of a run: one over each input, and more over what was kept of it while a task asks for them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from services.worker.audio.edits import Chain
from services.worker.audio.inputs import Inputs
from services.worker.audio.pcm import Block
from services.worker.audio.pipeline import Branch, Consumer, Control, run_pass
from services.worker.audio.source import Source
from services.worker.audio.tasks import Task, Workspace, Workspaces
from services.worker.audio.timing import Stopwatch, Stopwatches


class Listener(NamedTuple):
    """A task, the audio that it listens to in the first pass, and its watch."""

    task: Task
    workspace: Workspace
    watch: Stopwatch


class Passes:
    """Runs them."""

    def __init__(
        self,
        workspaces: Workspaces,
        listeners: Sequence[Listener],
        inputs: Inputs,
        watches: Stopwatches,
        control: Control,
    ) -> None:
        self._workspaces = workspaces
        self._listeners = listeners
        self._inputs = inputs
        self._watches = watches
        self._control = control

    def run(self) -> float:
        """All of them; seconds of audio that were decoded.

        Raises:
            AudioError, OSError, MemoryError: see engine.process.
        """
        inputs = list(self._workspaces.by_input())
        is_kept = any(workspace.is_kept for _, _, workspaces in inputs for workspace in workspaces)
        seconds = 0.0
        for name, source, workspaces in inputs:
            if is_kept or len(inputs) > 1:
                self._control.next_stage()
            seconds += self._decode(name, source, workspaces) / source.pcm.sample_rate
        if is_kept:
            self._control.next_stage()
            self._replay()
        return seconds

    def _decode(self, name: str | None, source: Source, workspaces: Sequence[Workspace]) -> int:
        """The pass over an input: frames that were decoded."""
        measuring: list[Consumer] = []
        encoding: list[Consumer] = []
        branches: list[Branch] = []
        for workspace in workspaces:
            if workspace.chain is None:
                measuring, encoding = self._measuring(workspace), self._encoding(workspace)
            else:
                branches.append(self._branch(workspace, workspace.chain))
        blocks = self._watches.decode.blocks(self._inputs.blocks(source, name))
        return run_pass(blocks, measuring, encoding, self._control, branches)

    def _branch(self, workspace: Workspace, chain: Chain) -> Branch:
        measuring, encoding = self._measuring(workspace), self._encoding(workspace)

        def branch(blocks: Iterator[Block], is_over: Callable[[], bool]) -> None:
            edited = self._watches.edit.transformed(chain.apply, blocks)
            run_pass(edited, measuring, encoding, Control(lambda fraction: None, is_over))

        return branch

    def _measuring(self, workspace: Workspace) -> list[Consumer]:
        consumers = [self._watches.meter.consumer(meter) for meter in workspace.meters.values()]
        for task, listens_to, watch in self._listeners:
            if listens_to is workspace:
                consumers += map(watch.consumer, task.measuring())
        return [*consumers, workspace]

    def _encoding(self, workspace: Workspace) -> list[Consumer]:
        return [
            watch.consumer(consumer)
            for task, listens_to, watch in self._listeners
            if listens_to is workspace
            for consumer in task.encoding()
        ]

    def _replay(self) -> None:
        """Passes over what was kept."""
        while consumers := [
            (workspace, watch.consumer(consumer))
            for task, _, watch in self._listeners
            for workspace, consumer in task.next_pass(self._control)
        ]:
            for workspace in dict.fromkeys(workspace for workspace, _ in consumers):
                encoding = [consumer for of, consumer in consumers if of is workspace]
                run_pass(workspace.replayed(), (), encoding, self._control)
            self._control.next_stage()
