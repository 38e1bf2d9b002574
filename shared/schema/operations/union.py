"""All operations, as a discriminated union on `op`."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter

from shared.schema.edits import MAX_CHAINS, Edited
from shared.schema.operations.base import Operation
from shared.schema.operations.encodings import Normalize, Transcode
from shared.schema.operations.measurements import Acx, Loudness, Probe, Silence
from shared.schema.operations.pictures import Spectrogram, Waveform
from shared.schema.operations.splitting import Split

AnyOperation = Annotated[
    Probe | Loudness | Waveform | Spectrogram | Silence | Acx | Transcode | Normalize | Split,
    Field(discriminator="op"),
]
OPERATIONS: tuple[type[Operation], ...] = (
    Probe, Loudness, Waveform, Spectrogram, Silence, Acx, Transcode, Normalize, Split,
)  # fmt: skip
operations_adapter: TypeAdapter[tuple[AnyOperation, ...]] = TypeAdapter(tuple[AnyOperation, ...])


def with_names(operations: tuple[AnyOperation, ...]) -> tuple[AnyOperation, ...]:
    """The same operations, each with a name of its own.

    Raises:
        ValueError: two operations were given the same name, or would write files of the same name; or there are too
            many different chains of edits.
    """
    taken = {operation.name for operation in operations if operation.name is not None}
    if len(taken) < sum(operation.name is not None for operation in operations):
        raise ValueError("two operations have the same name")
    named = []
    for operation in operations:
        if operation.name is None:
            count = 1
            candidate: str = operation.op
            while candidate in taken:
                count += 1
                candidate = f"{operation.op}-{count}"
            taken.add(candidate)
            operation = operation.model_copy(update={"name": candidate})  # noqa: PLW2901
        named.append(operation)
    _check_stems(named)
    _check_chains(named)
    return tuple(named)


def _check_stems(operations: Sequence[Operation]) -> None:
    """An operation that writes several files has stems beside its name: `split-001`, `normalize-track2`."""
    names = {operation.name for operation in operations}
    for operation in operations:
        stems: set[str | None] = set()
        if isinstance(operation, Split):
            stems = {name for name in names if name and re.fullmatch(rf"{operation.name}-\d{{3,}}", name)}
        elif isinstance(operation, Normalize):
            stems = {f"{operation.name}-{track}" for track in operation.album}
        if clashing := stems & names:
            raise ValueError(f"the operation {clashing.pop()} has the name of a file of the operation {operation.name}")


def _check_chains(operations: Iterable[Operation]) -> None:
    """Each chain runs beside the others, and may keep a copy of the audio on disk."""
    chains = {operation.edits if isinstance(operation, Edited) else () for operation in operations} - {()}
    if len(chains) > MAX_CHAINS:
        raise ValueError(f"a job has at most {MAX_CHAINS} different chains of edits, and this one {len(chains)}")


def input_names(operations: Iterable[Operation]) -> frozenset[str]:
    """Names of the further inputs that some operations need, beside the job's own."""
    names: set[str] = set()
    for operation in operations:
        if isinstance(operation, Edited):
            names.update(name for edit in operation.edits for name in edit.input_names())
        if isinstance(operation, Normalize):
            names.update(operation.album)
    return frozenset(names)
