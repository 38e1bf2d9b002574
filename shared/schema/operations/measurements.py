"""Operations that answer in numbers."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.schema.edits import Edited
from shared.schema.operations.base import Operation

DualMono = Annotated[
    bool, Field(description="Measure mono as if two speakers played it, 3.01 LU louder; no other layout is changed.")
]


class Probe(Operation):
    """Container, codec, streams and tags."""

    summary = "Container, codec, streams, duration and tags"
    example: ClassVar[dict[str, Any]] = {"op": "probe"}

    op: Literal["probe"] = "probe"


class Loudness(Operation, Edited):
    """EBU R128 measurement: integrated loudness, loudness range, true peak."""

    summary = "Integrated loudness, loudness range and true peak (EBU R128)"
    example: ClassVar[dict[str, Any]] = {"op": "loudness"}

    op: Literal["loudness"] = "loudness"
    dual_mono: DualMono = False


class Silence(Operation, Edited):
    """Where nothing is heard: no sample of any channel reaches the threshold, for the least length at least."""

    summary = "Silent stretches: where each begins and ends, and how long they are together"
    example: ClassVar[dict[str, Any]] = {"op": "silence", "threshold_dbfs": -45, "min_seconds": 0.5}

    op: Literal["silence"] = "silence"
    threshold_dbfs: float = Field(
        default=-50.0, ge=-120.0, le=0.0, description="A sample of this magnitude or more is heard, dBFS."
    )
    min_seconds: float = Field(default=0.5, ge=0.01, le=3600.0, description="Shorter silences are not listed.")


class Acx(Operation, Edited):
    """The rules for audiobooks on ACX, one by one."""

    summary = "The rules for audiobooks on ACX: level, peak, noise floor and format, each passed or not"
    example: ClassVar[dict[str, Any]] = {"op": "acx"}

    op: Literal["acx"] = "acx"
