"""What a client can ask for: the operations, each with its parameters, as a discriminated union on `op`."""

import re
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 of a-z, 0-9, '-' and '_', and starts and ends with a letter or digit")
    return name


class Operation(BaseModel):
    """One thing to do with the input. `name` is the key of its result and the stem of its artifacts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    summary: ClassVar[str]
    example: ClassVar[dict[str, Any]]

    op: str
    name: Annotated[str, AfterValidator(_check_name)] | None = Field(
        default=None,
        description="Key of this operation's result and stem of its artifacts; the operation's own name, "
        "numbered from the second on, when left out.",
    )


class AudioFormat(StrEnum):
    """An output format: codec and container together."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"


LOSSY_FORMATS = frozenset({AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC})
OPUS_SAMPLE_RATES = frozenset({8000, 12000, 16000, 24000, 48000})
MP3_SAMPLE_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
AAC_SAMPLE_RATES = frozenset({7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_SAMPLE_RATES = {
    AudioFormat.OPUS: OPUS_SAMPLE_RATES,
    AudioFormat.MP3: MP3_SAMPLE_RATES,
    AudioFormat.AAC: AAC_SAMPLE_RATES,
}


class Encoding(BaseModel):
    """How to write audio: format, bit rate, sample rate and channels."""

    format: AudioFormat = Field(description="mp3, opus (Ogg), aac (in .m4a), flac or wav (16-bit PCM).")
    bitrate_kbps: int | None = Field(
        default=None,
        ge=6,
        le=512,
        description="Kilobits a second; lossy formats only. Left out: 64 a channel.",
    )
    sample_rate: int | None = Field(
        default=None,
        ge=8000,
        le=192000,
        description="Hz; the input's, or the nearest the format takes, when left out.",
    )
    channels: int | None = Field(
        default=None,
        ge=1,
        le=8,
        description="1 mono, 2 stereo, 6 is 5.1, 8 is 7.1; the input's when left out.",
    )

    @model_validator(mode="after")
    def _fits_the_format(self) -> Self:
        if self.bitrate_kbps is not None and self.format not in LOSSY_FORMATS:
            raise ValueError(f"bitrate_kbps has no meaning for {self.format}, which is lossless")
        if self.format is AudioFormat.MP3:
            if self.channels is not None and self.channels > 2:
                raise ValueError("mp3 holds at most 2 channels")
            if self.bitrate_kbps is not None and not 8 <= self.bitrate_kbps <= 320:
                raise ValueError("mp3 takes 8 to 320 kbit/s")
        rates = _SAMPLE_RATES.get(self.format)
        if self.sample_rate is not None and rates is not None and self.sample_rate not in rates:
            raise ValueError(f"{self.format} takes a sample_rate of {', '.join(map(str, sorted(rates)))} Hz")
        return self


class Probe(Operation):
    """Container, codec, streams and tags."""

    summary = "Container, codec, streams, duration and tags"
    example = {"op": "probe"}

    op: Literal["probe"] = "probe"


class Loudness(Operation):
    """EBU R128 measurement: integrated loudness, loudness range, true peak."""

    summary = "Integrated loudness, loudness range and true peak (EBU R128)"
    example = {"op": "loudness"}

    op: Literal["loudness"] = "loudness"


class WaveformFormat(StrEnum):
    """How waveform data is written: audiowaveform's binary format version 2, or its JSON."""

    DAT = "dat"
    JSON = "json"


class Waveform(Operation):
    """Minimum and maximum of the mono mix for each pixel, in audiowaveform's formats."""

    summary = "Waveform data for players, in audiowaveform's .dat (v2) and JSON formats"
    example = {"op": "waveform", "samples_per_pixel": 512, "bits": 8, "formats": ["dat", "json"]}

    op: Literal["waveform"] = "waveform"
    samples_per_pixel: int = Field(default=256, ge=2, le=1_000_000, description="Input samples a pixel.")
    bits: Literal[8, 16] = Field(default=8, description="Resolution of each value.")
    formats: tuple[WaveformFormat, ...] = Field(
        default=(WaveformFormat.DAT,), min_length=1, max_length=2, description="Which files to write."
    )


class FrequencyScale(StrEnum):
    """How frequencies are spread over the height of a picture."""

    LINEAR = "linear"
    MEL = "mel"
    LOG = "log"


class ColorMap(StrEnum):
    """Which colours levels have."""

    VIRIDIS = "viridis"
    MAGMA = "magma"
    INFERNO = "inferno"
    GRAY = "gray"


class Spectrogram(Operation):
    """The spectrum of the mean of the channels over time, as a PNG picture; low frequencies are at the bottom."""

    summary = "A picture of the spectrum over time (PNG), on a linear, mel or logarithmic frequency axis"
    example = {"op": "spectrogram", "width": 1200, "height": 400, "frequency_scale": "mel", "colors": "magma"}

    op: Literal["spectrogram"] = "spectrogram"
    width: int = Field(default=1024, ge=16, le=4096, description="Pixels; all of the audio is spread over them.")
    height: int = Field(default=512, ge=16, le=1024, description="Pixels.")
    frequency_scale: FrequencyScale = FrequencyScale.LINEAR
    min_hz: float | None = Field(
        default=None, ge=0, le=192_000, description="Bottom of the picture, Hz; 0, or 20 on the log scale, if left out."
    )
    max_hz: float | None = Field(
        default=None, gt=0, le=192_000, description="Top of the picture, Hz; half of the sample rate if left out."
    )
    range_db: float = Field(
        default=100.0, ge=20.0, le=120.0, description="Levels that the colours are spread over, down from 0 dBFS; dB."
    )
    colors: ColorMap = ColorMap.VIRIDIS

    @model_validator(mode="after")
    def _is_an_axis(self) -> Self:
        if self.frequency_scale is FrequencyScale.LOG and self.min_hz == 0:
            raise ValueError("a log frequency_scale cannot begin at a min_hz of 0")
        lowest = self.min_hz or (20.0 if self.frequency_scale is FrequencyScale.LOG else 0.0)
        if self.max_hz is not None and self.max_hz <= lowest:
            raise ValueError("max_hz must be above min_hz, which is 20 on the log scale if left out")
        return self


class Silence(Operation):
    """Where nothing is heard: no sample of any channel reaches the threshold, for the least length at least."""

    summary = "Silent stretches: where each begins and ends, and how long they are together"
    example = {"op": "silence", "threshold_dbfs": -45, "min_seconds": 0.5}

    op: Literal["silence"] = "silence"
    threshold_dbfs: float = Field(
        default=-50.0, ge=-120.0, le=0.0, description="A sample of this magnitude or more is heard, dBFS."
    )
    min_seconds: float = Field(default=0.5, ge=0.01, le=3600.0, description="Shorter silences are not listed.")


class Transcode(Operation, Encoding):
    """The input in another format."""

    summary = "The audio in another format, bit rate, sample rate or channel count"
    example = {"op": "transcode", "format": "opus", "bitrate_kbps": 64}

    op: Literal["transcode"] = "transcode"


class Normalize(Operation, Encoding):
    """The input at a target loudness, by one gain for all of it; peaks that it takes over the ceiling are limited."""

    summary = "A master at a target loudness: linear gain, and a true-peak limiter where that would pass the ceiling"
    example = {"op": "normalize", "target_lufs": -16, "true_peak_dbtp": -1, "format": "flac"}

    op: Literal["normalize"] = "normalize"
    target_lufs: float = Field(default=-16.0, ge=-70.0, le=-5.0, description="Integrated loudness to reach, LUFS.")
    true_peak_dbtp: float = Field(default=-1.0, ge=-20.0, le=0.0, description="Ceiling of the true peak, dBTP.")
    limiter: bool = Field(
        default=True,
        description="Limit the peaks that the gain takes over the ceiling; without it, the gain stops at the ceiling.",
    )
    format: AudioFormat = AudioFormat.FLAC


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
