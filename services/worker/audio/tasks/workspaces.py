"""The workspaces of one run: one for each input and chain of edits that a task listens to."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from services.worker.audio.edits import Chain, Holds
from services.worker.audio.inputs import Inputs
from services.worker.audio.source import Source
from services.worker.audio.tasks.base import Workspace
from shared.schema.edits import Edits


class Workspaces:
    """Makes workspaces as they are asked for; equal edits of the same input share one. A context manager."""

    def __init__(self, main: Source, inputs: Inputs, output_dir: Path, scratch: Path) -> None:
        self._inputs = inputs
        self._output_dir = output_dir
        self._scratch = scratch
        self._sources: dict[str | None, Source] = {None: main}
        self._workspaces: dict[str | None, dict[Edits, Workspace]] = {None: {}}
        self._holds = Holds(scratch)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def of(self, edits: Edits = (), name: str | None = None) -> Workspace:
        """The workspace of an input, the run's own or the further one of a name, under some edits.

        Raises:
            AudioError, OSError: the further input cannot be opened.
        """
        if name not in self._sources:
            self._sources[name] = self._open.enter_context(self._inputs.opened(name or ""))
            self._workspaces[name] = {}
        workspaces = self._workspaces[name]
        if edits not in workspaces:
            workspaces[edits] = self._make(edits, self._sources[name])
        return workspaces[edits]

    def by_input(self) -> Iterator[tuple[str | None, Source, tuple[Workspace, ...]]]:
        """Each input that has to be decoded, by its name, and the workspaces of its audio; the run's own is first."""
        for name, source in self._sources.items():
            yield name, source, tuple(self._workspaces[name].values())

    def _make(self, edits: Edits, source: Source) -> Workspace:
        scratch = self._scratch / str(sum(map(len, self._workspaces.values())))
        scratch.mkdir()
        chain = Chain(edits, source.pcm, self._inputs, self._holds) if edits else None
        workspace = Workspace(source, chain, self._holds, self._output_dir, scratch)
        self._open.callback(workspace.close)
        return workspace
