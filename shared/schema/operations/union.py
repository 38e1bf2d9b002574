"""All operations, as a discriminated union on `op`."""

from typing import Annotated

from pydantic import Field, TypeAdapter

from shared.schema.operations.base import Operation
from shared.schema.operations.encodings import Normalize, Transcode
from shared.schema.operations.measurements import Loudness, Probe, Silence
from shared.schema.operations.pictures import Spectrogram, Waveform

AnyOperation = Annotated[
    Probe | Loudness | Waveform | Spectrogram | Silence | Transcode | Normalize, Field(discriminator="op")
]
OPERATIONS: tuple[type[Operation], ...] = (Probe, Loudness, Waveform, Spectrogram, Silence, Transcode, Normalize)
operations_adapter: TypeAdapter[tuple[AnyOperation, ...]] = TypeAdapter(tuple[AnyOperation, ...])


def with_names(operations: tuple[AnyOperation, ...]) -> tuple[AnyOperation, ...]:
    """The same operations, each with a name of its own.

    Raises:
        ValueError: two operations were given the same name.
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
    return tuple(named)
