"""Operations that answer in numbers."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from shared.schema.edits import Edited
from shared.schema.operations.base import Operation

DualMono = Annotated[
    bool, Field(description="Measure mono as if two speakers played it, 3.01 LU louder; no other layout is changed.")
]


class Probe(Operation):
    """Container, codec, streams, tags, cover picture and chapters."""

    summary = "Container, codec, streams, duration, tags, cover picture and chapters"
    example: ClassVar[dict[str, Any]] = {"op": "probe", "cover_art": True}

    op: Literal["probe"] = "probe"
    cover_art: bool = Field(default=False, description="Write the cover picture to an artifact, if there is one.")


class SeriesFormat(StrEnum):
    """How a series of values is written."""

    JSON = "json"
    CSV = "csv"


class Loudness(Operation, Edited):
    """EBU R128 measurement: integrated loudness, loudness range, true peak."""

    summary = "Integrated loudness, loudness range and true peak (EBU R128); loudness over time, and player gains"
    example: ClassVar[dict[str, Any]] = {"op": "loudness", "series": ["csv"], "replay_gain": True}

    op: Literal["loudness"] = "loudness"
    series: tuple[SeriesFormat, ...] = Field(
        default=(), max_length=2, description="Write momentary and short-term loudness every 100 ms to these files."
    )
    replay_gain: bool = Field(
        default=False, description="Also say how far players are to turn it: ReplayGain 2.0, and Opus' R128 gain."
    )
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
