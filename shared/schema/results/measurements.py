"""Results that are numbers."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.results.base import Result


class AudioStream(BaseModel):
    """One audio stream of the input."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(description="Index within the container.")
    codec: str
    sample_rate: int = Field(description="Hz.")
    channels: int
    layout: str = Field(description="FFmpeg's name of the channel layout, as in 'stereo' or '5.1(side)'.")
    sample_format: str | None = Field(description="FFmpeg's name of the decoded sample format, as in 's16' or 'fltp'.")
    bits_per_sample: int | None = Field(description="Bits of a coded sample, where the codec has such a thing.")
    bitrate_kbps: float | None
    language: str | None = None


class OtherStream(BaseModel):
    """A stream of the input that is no audio, and is left alone."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(description="Index within the container.")
    kind: str = Field(description="video, subtitle, data, attachment or unknown.")
    codec: str | None


class CoverArt(BaseModel):
    """The cover picture of the input. A value is null where the picture is too large or too odd to be looked into."""

    model_config = ConfigDict(frozen=True)

    format: Literal["jpeg", "png"] | None
    width: int | None = Field(description="Pixels.")
    height: int | None = Field(description="Pixels.")
    size_bytes: int | None
    artifact: str | None = Field(default=None, description="The picture, if it was asked for.")


MOST_CHAPTERS = 500


class Chapter(BaseModel):
    """One chapter, as the container has it."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    start_seconds: float
    end_seconds: float
    title: str | None


class ProbeResult(Result):
    """What the file says of itself; `duration_seconds` counts what was decoded, not what the header says."""

    op: Literal["probe"] = "probe"
    container: str = Field(description="FFmpeg's name of the container format.")
    duration_seconds: float
    size_bytes: int
    bitrate_kbps: float | None
    streams: tuple[AudioStream, ...]
    audio_stream: int = Field(description="Index of the stream that the other operations use.")
    other_streams: tuple[OtherStream, ...] = ()
    tags: dict[str, str]
    cover_art: CoverArt | None = None
    chapters: tuple[Chapter, ...] = Field(default=(), description=f"The first {MOST_CHAPTERS} at most.")


class ReplayGain(BaseModel):
    """How far players are to turn the audio up or down."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    track_gain_db: float = Field(description="To ReplayGain 2.0's -18 LUFS, dB; 0 for silence.")
    track_peak: float = Field(description="Largest true peak; 1.0 is full scale.")
    r128_track_gain: int = Field(description="To -23 LUFS, in 256ths of a decibel, as in Opus files (RFC 7845).")


class LoudnessResult(Result):
    """ITU-R BS.1770-4 / EBU R128. A value is null where silence leaves nothing to measure."""

    op: Literal["loudness"] = "loudness"
    integrated_lufs: float | None = Field(description="Gated integrated loudness, LUFS.")
    range_lu: float = Field(description="Loudness range (EBU Tech 3342), LU.")
    momentary_max_lufs: float | None = Field(description="Loudest 400 ms, LUFS; null for less than 400 ms.")
    short_term_max_lufs: float | None = Field(description="Loudest 3 s, LUFS; null for less than 3 s.")
    true_peak_dbtp: float | None = Field(description="Largest true peak over the channels, dBTP.")
    sample_peak_dbfs: float | None = Field(description="Largest sample over the channels, dBFS.")
    replay_gain: ReplayGain | None = Field(default=None, description="If it was asked for.")
    artifacts: tuple[str, ...] = Field(default=(), description="Loudness over time, if it was asked for.")


MOST_SILENCES = 500
"""A result stands in the job's row and goes over the wire with it: what is more is in the artifact alone."""


class SilentInterval(BaseModel):
    """One silence."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    start_seconds: float
    end_seconds: float


class SilenceResult(Result):
    """The silences in the order of time. The JSON artifact has all of them, with the same names."""

    op: Literal["silence"] = "silence"
    threshold_dbfs: float
    min_seconds: float
    silences: tuple[SilentInterval, ...] = Field(description=f"The first {MOST_SILENCES} at most.")
    count: int = Field(description="Of all silences.")
    silent_seconds: float = Field(description="Length of all silences together.")
    artifact: str


class AcxRule(BaseModel):
    """One rule: what was measured, and what is allowed."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    rule: Literal["rms", "peak", "noise_floor", "sample_rate", "channels", "constant_mp3_bitrate", "length"]
    value: float | None = Field(description="null: there is no such thing, as with a bit rate where there is no MP3.")
    unit: str
    minimum: float | None
    maximum: float | None
    passed: bool


class AcxReport(BaseModel):
    """The rules of ACX for the files of an audiobook. The noise floor is the RMS of the quietest half second."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    passed: bool = Field(description="All rules are.")
    rules: tuple[AcxRule, ...]


class AcxResult(Result, AcxReport):
    """See AcxReport. Of edited audio, which is no file yet, only what is heard is looked at."""

    op: Literal["acx"] = "acx"
