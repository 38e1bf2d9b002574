"""What can be done to the audio before an operation gets it: the edits, as a discriminated union on `edit`."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.schema.names import Name

MAX_EDITS = 16
MAX_CHAINS = 8
LONGEST_SECONDS = 1_000_000.0
MAX_JOINED_INPUTS = 16

_Crossfade = Annotated[
    float,
    Field(ge=0, le=60, description="Seconds in which one fades into the other, at equal power; 0: one after another."),
]
_Threshold = Annotated[
    float, Field(ge=-120.0, le=0.0, description="A sample of this magnitude or more is heard, dBFS; as for silence.")
]


class Edit(BaseModel):
    """One change to the audio; `keeps_times` where each moment of the audio stays where it was."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    summary: ClassVar[str]
    example: ClassVar[dict[str, Any]]
    keeps_times: ClassVar[bool] = False

    edit: str

    def input_names(self) -> tuple[str, ...]:
        """The further inputs that it needs."""
        return ()


class Trim(Edit):
    """A part of the audio, right to the sample; what is asked for beyond its end is not there."""

    summary = "A part of the audio, from a start to an end or for a duration"
    example = {"edit": "trim", "start_seconds": 12.5, "duration_seconds": 30}

    edit: Literal["trim"] = "trim"
    start_seconds: float = Field(default=0.0, ge=0, le=LONGEST_SECONDS, description="Where the part begins.")
    end_seconds: float | None = Field(
        default=None, gt=0, le=LONGEST_SECONDS, description="Where it ends; the audio's end when left out."
    )
    duration_seconds: float | None = Field(
        default=None, gt=0, le=LONGEST_SECONDS, description="How long it is, instead of its end."
    )

    @model_validator(mode="after")
    def _has_one_end_behind_its_start(self) -> Self:
        if self.end_seconds is not None and self.duration_seconds is not None:
            raise ValueError("trim takes end_seconds or duration_seconds, not both")
        if self.end_seconds is not None and self.end_seconds <= self.start_seconds:
            raise ValueError("end_seconds must be behind start_seconds")
        return self


class FadeCurve(StrEnum):
    """How the gain goes over a fade, as FFmpeg's afade has it under tri, qsin and exp."""

    LINEAR = "linear"
    QUARTER_SINE = "quarter_sine"
    EXPONENTIAL = "exponential"


class Fade(Edit):
    """A rise from silence at the start, a fall into it at the end, or both."""

    summary = "Fade in, fade out, or both"
    example = {"edit": "fade", "in_seconds": 0.5, "out_seconds": 3, "curve": "quarter_sine"}
    keeps_times = True

    edit: Literal["fade"] = "fade"
    in_seconds: float = Field(default=0.0, ge=0, le=600, description="Length of the rise.")
    out_seconds: float = Field(default=0.0, ge=0, le=600, description="Length of the fall.")
    curve: FadeCurve = Field(
        default=FadeCurve.QUARTER_SINE,
        description="linear: the gain itself; quarter_sine: equal power; exponential: in decibels, from -100 dB.",
    )

    @model_validator(mode="after")
    def _fades(self) -> Self:
        if not self.in_seconds and not self.out_seconds:
            raise ValueError("fade takes in_seconds, out_seconds or both")
        return self


class Concatenate(Edit):
    """Further inputs behind the audio, resampled and mixed to its sample rate and channels."""

    summary = "Further inputs of the job behind the audio, one after another"
    example = {"edit": "concatenate", "inputs": ["part-2", "part-3"], "crossfade_seconds": 0.5}

    edit: Literal["concatenate"] = "concatenate"
    inputs: tuple[Name, ...] = Field(
        min_length=1, max_length=MAX_JOINED_INPUTS, description="Names of further inputs, in order."
    )
    crossfade_seconds: _Crossfade = 0.0

    def input_names(self) -> tuple[str, ...]:
        """See Edit."""
        return self.inputs


class Intro(Edit):
    """A further input in front of the audio, resampled and mixed to its sample rate and channels."""

    summary = "A further input of the job in front of the audio"
    example = {"edit": "intro", "input": "jingle", "crossfade_seconds": 1.5}

    edit: Literal["intro"] = "intro"
    input: Name = Field(description="Name of a further input.")
    crossfade_seconds: _Crossfade = 0.0

    def input_names(self) -> tuple[str, ...]:
        """See Edit."""
        return (self.input,)


class Outro(Edit):
    """A further input behind the audio, resampled and mixed to its sample rate and channels."""

    summary = "A further input of the job behind the audio"
    example = {"edit": "outro", "input": "jingle", "crossfade_seconds": 1.5}

    edit: Literal["outro"] = "outro"
    input: Name = Field(description="Name of a further input.")
    crossfade_seconds: _Crossfade = 0.0

    def input_names(self) -> tuple[str, ...]:
        """See Edit."""
        return (self.input,)


class TrimSilence(Edit):
    """The audio without the silence at its ends."""

    summary = "Silence at the start and the end cut off, but for some padding"
    example = {"edit": "trim_silence", "threshold_dbfs": -45, "padding_seconds": 0.2}

    edit: Literal["trim_silence"] = "trim_silence"
    threshold_dbfs: _Threshold = -50.0
    padding_seconds: float = Field(default=0.1, ge=0, le=60, description="Silence that is kept at either end.")
    ends: Literal["both", "start", "end"] = Field(default="both", description="Which ends.")


class RemoveSilence(Edit):
    """The audio with its long silences made short; those at its very start and end are left to trim_silence."""

    summary = "Long silences between sounds shortened"
    example = {"edit": "remove_silence", "threshold_dbfs": -45, "min_seconds": 1.5, "keep_seconds": 0.6}

    edit: Literal["remove_silence"] = "remove_silence"
    threshold_dbfs: _Threshold = -50.0
    min_seconds: float = Field(default=1.0, ge=0.05, le=3600, description="Longer silences are shortened.")
    keep_seconds: float = Field(
        default=0.5, ge=0, le=3600, description="To this length: half from its start, half from its end."
    )
    crossfade_seconds: float = Field(
        default=0.005, ge=0, le=0.1, description="Over which both halves meet, at equal power, so that no cut is heard."
    )

    @model_validator(mode="after")
    def _shortens(self) -> Self:
        if self.keep_seconds < self.crossfade_seconds:
            raise ValueError("keep_seconds must not be shorter than crossfade_seconds")
        if self.keep_seconds + self.crossfade_seconds > self.min_seconds:
            raise ValueError("keep_seconds and crossfade_seconds together must not be longer than min_seconds")
        return self


class HighPass(Edit):
    """A Butterworth high-pass filter: rumble, handling noise and direct current out."""

    summary = "A high-pass filter against rumble"
    example = {"edit": "high_pass", "frequency_hz": 80, "order": 2}
    keeps_times = True

    edit: Literal["high_pass"] = "high_pass"
    frequency_hz: float = Field(default=80.0, ge=5, le=4000, description="Where it is 3 dB down.")
    order: int = Field(default=2, ge=1, le=8, description="6 dB an octave for each.")


class Denoise(Edit):
    """Steady noise turned down by spectral subtraction (FFmpeg's afftdn); the length stays the same to the sample."""

    summary = "Steady background noise turned down"
    example = {"edit": "denoise", "reduction_db": 12}
    keeps_times = True

    edit: Literal["denoise"] = "denoise"
    reduction_db: float = Field(default=12.0, ge=1, le=60, description="By how much the noise is turned down.")
    noise_floor_dbfs: float | None = Field(
        default=None, ge=-80, le=-20, description="Level of the noise, dBFS; found and followed when left out."
    )


AnyEdit = Annotated[
    Trim | Fade | Concatenate | Intro | Outro | TrimSilence | RemoveSilence | HighPass | Denoise,
    Field(discriminator="edit"),
]
EDITS: tuple[type[Edit], ...] = (
    Trim, Fade, Concatenate, Intro, Outro, TrimSilence, RemoveSilence, HighPass, Denoise,
)  # fmt: skip
Edits: TypeAlias = tuple[AnyEdit, ...]


class Edited(BaseModel):
    """An operation that can be done to edited audio."""

    edits: Edits = Field(
        default=(),
        max_length=MAX_EDITS,
        description="Changes to the audio before the operation gets it, in this order. Operations with equal edits "
        "share them.",
    )
