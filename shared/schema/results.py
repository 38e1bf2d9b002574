"""What each operation answers, as it stands in a job's `results` under the operation's name."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Result(BaseModel):
    """The answer of one operation."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    op: str


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


class ProbeResult(Result):
    """Container, streams and tags; `duration_seconds` counts what was decoded, not what the header says."""

    op: Literal["probe"] = "probe"
    container: str = Field(description="FFmpeg's name of the container format.")
    duration_seconds: float
    size_bytes: int
    bitrate_kbps: float | None
    streams: tuple[AudioStream, ...]
    audio_stream: int = Field(description="Index of the stream that the other operations use.")
    tags: dict[str, str]


class LoudnessResult(Result):
    """ITU-R BS.1770-4 / EBU R128. A value is null where silence leaves nothing to measure."""

    op: Literal["loudness"] = "loudness"
    integrated_lufs: float | None = Field(description="Gated integrated loudness, LUFS.")
    range_lu: float = Field(description="Loudness range (EBU Tech 3342), LU.")
    momentary_max_lufs: float | None = Field(description="Loudest 400 ms, LUFS; null for less than 400 ms.")
    short_term_max_lufs: float | None = Field(description="Loudest 3 s, LUFS; null for less than 3 s.")
    true_peak_dbtp: float | None = Field(description="Largest true peak over the channels, dBTP.")
    sample_peak_dbfs: float | None = Field(description="Largest sample over the channels, dBFS.")


class WaveformResult(Result):
    """The size of the waveform; the data is in the artifacts."""

    op: Literal["waveform"] = "waveform"
    sample_rate: int = Field(description="Hz of the audio that was drawn.")
    samples_per_pixel: int
    bits: Literal[8, 16]
    length: int = Field(description="Pixels (pairs of minimum and maximum).")
    artifacts: tuple[str, ...]


class SpectrogramResult(Result):
    """What the picture's axes and colours stand for; the picture is the artifact."""

    op: Literal["spectrogram"] = "spectrogram"
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    frequency_scale: Literal["linear", "mel", "log"]
    min_hz: float = Field(description="Lower edge of the lowest row, Hz.")
    max_hz: float = Field(description="Upper edge of the highest row, Hz.")
    seconds_per_pixel: float
    range_db: float = Field(description="The map's last colour is 0 dBFS or more, its first this much less or below.")
    colors: str = Field(description="Name of the colour map.")
    artifact: str


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


class EncodedResult(Result):
    """What was written by an operation that encodes."""

    format: str
    sample_rate: int = Field(description="Hz.")
    channels: int
    bitrate_kbps: int | None = Field(description="Asked of the encoder; null for lossless formats.")
    duration_seconds: float
    artifact: str


class TranscodeResult(EncodedResult):
    """The audio in another format."""

    op: Literal["transcode"] = "transcode"


class NormalizeResult(EncodedResult):
    """The gain that was applied, and where it leaves the audio."""

    op: Literal["normalize"] = "normalize"
    input_lufs: float | None
    input_true_peak_dbtp: float | None
    gain_db: float
    method: Literal["linear", "limited"] = Field(
        default="linear", description="linear: the gain and nothing else; limited: and a limiter for the peaks."
    )
    largest_reduction_db: float = Field(default=0.0, description="By how much the limiter turned down at most, dB.")
    output_lufs: float | None = Field(
        description="By linear gain the input's loudness plus the gain; limited, measured behind the limiter; "
        "of lossy formats, measured on the encoded file. LUFS."
    )
    output_true_peak_dbtp: float | None = Field(description="Of the same, dBTP.")
    target_lufs: float
    true_peak_ceiling_dbtp: float
    limited_by_peak: bool = Field(description="The target was not reached, because of the ceiling.")


AnyResult = Annotated[
    ProbeResult
    | LoudnessResult
    | WaveformResult
    | SpectrogramResult
    | SilenceResult
    | TranscodeResult
    | NormalizeResult,
    Field(discriminator="op"),
]
