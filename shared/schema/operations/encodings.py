"""Operations that write audio, and how audio is written."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from shared.schema.edits import Edited
from shared.schema.names import Name
from shared.schema.operations.base import Operation
from shared.schema.operations.measurements import DualMono
from shared.schema.operations.tags import Tags

MAX_ALBUM_TRACKS = 16


class AudioFormat(StrEnum):
    """An output format: codec and container together."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    ALAC = "alac"
    WAV = "wav"


class RateControl(StrEnum):
    """Whether each second gets as many bits as the other, or as many as it needs."""

    CBR = "cbr"
    VBR = "vbr"


LOSSY_FORMATS = frozenset({AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC})
OPUS_SAMPLE_RATES = frozenset({8000, 12000, 16000, 24000, 48000})
MP3_SAMPLE_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
AAC_SAMPLE_RATES = frozenset({7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
CHANNEL_COUNTS = {
    AudioFormat.MP3: frozenset({1, 2}),
    # The layouts that Apple gave it; quad, 6.1 and 7.1 are not among them.
    AudioFormat.ALAC: frozenset({1, 2, 3, 5, 6}),
}
"""How many channels a format takes; the others take 1 to 8."""
_SAMPLE_RATES = {
    AudioFormat.OPUS: OPUS_SAMPLE_RATES,
    AudioFormat.MP3: MP3_SAMPLE_RATES,
    AudioFormat.AAC: AAC_SAMPLE_RATES,
}
_BIT_DEPTHS = {AudioFormat.FLAC: (16, 24), AudioFormat.ALAC: (16, 24), AudioFormat.WAV: (16, 24, 32)}
_RATE_CONTROLS = {
    AudioFormat.MP3: (RateControl.CBR, RateControl.VBR),
    AudioFormat.OPUS: (RateControl.CBR, RateControl.VBR),
}
# Measured: asked for 64, 96 or 128 kbit/s, it writes the same 124 (FFmpeg 8); it refuses all but stereo.
_NO_VORBIS = (
    "vorbis is not written: the one encoder for it here heeds no bit rate and takes stereo alone; "
    "take opus, which does all of it better"
)


class Encoding(BaseModel):
    """How to write audio: format, bit rate or depth, sample rate, channels, and what is said of it."""

    format: AudioFormat = Field(description="mp3, opus (Ogg), aac and alac (in .m4a), flac or wav.")
    bitrate_kbps: int | None = Field(
        default=None,
        ge=6,
        le=512,
        description="Kilobits a second; lossy formats only. Left out: 64 a channel.",
    )
    rate_control: RateControl | None = Field(
        default=None,
        description="mp3: cbr, or vbr by `quality`. opus: vbr about `bitrate_kbps`, or cbr. "
        "Left out: vbr for opus and where a quality is given, else cbr.",
    )
    quality: int | None = Field(
        default=None,
        ge=0,
        le=9,
        description="mp3 at a variable bit rate, LAME's scale: 0 is the best (about 245 kbit/s in stereo), 2 about "
        "190, 4 about 165, 9 about 65. Instead of bitrate_kbps; 2 if only `rate_control` says vbr.",
    )
    bit_depth: Literal[16, 24, 32] | None = Field(
        default=None,
        description="Lossless formats only; 32 is float, and wav alone has it. Left out: 16, or for flac and alac the "
        "input's 24. Triangular dither where it is less than the audio has.",
    )
    compression_level: int | None = Field(
        default=None, ge=0, le=12, description="flac only: 0 is the fastest, 12 the smallest; 5 if left out."
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
    keep_tags: bool = Field(
        default=True, description="Carry over the input's title, artist and what else `tags` can name."
    )
    keep_cover: bool = Field(
        default=True, description="Carry over the input's cover picture (JPEG or PNG, at most 10 MB); wav has no place."
    )
    tags: Tags = Field(default=Tags(), description="Tags to write in place of the input's.")

    @field_validator("format", mode="before")
    @classmethod
    def _is_a_format_with_a_good_encoder(cls, asked: Any) -> Any:
        if asked == "vorbis":
            raise ValueError(_NO_VORBIS)
        return asked

    @model_validator(mode="after")
    def _fits_the_format(self) -> Self:
        self._check_rates()
        self._check_depth()
        counts = CHANNEL_COUNTS.get(self.format)
        if self.channels is not None and counts is not None and self.channels not in counts:
            raise ValueError(f"{self.format} takes {_listed(sorted(counts))} channels")
        rates = _SAMPLE_RATES.get(self.format)
        if self.sample_rate is not None and rates is not None and self.sample_rate not in rates:
            raise ValueError(f"{self.format} takes a sample_rate of {_listed(sorted(rates))} Hz")
        return self

    def _check_rates(self) -> None:
        if self.bitrate_kbps is not None:
            if self.format not in LOSSY_FORMATS:
                raise ValueError(f"bitrate_kbps has no meaning for {self.format}, which is lossless")
            if self.format is AudioFormat.MP3 and not 8 <= self.bitrate_kbps <= 320:
                raise ValueError("mp3 takes 8 to 320 kbit/s")
        if self.rate_control is not None and self.format not in _RATE_CONTROLS:
            raise ValueError(f"rate_control has no meaning for {self.format}; mp3 and opus have it")
        is_vbr_mp3 = self.format is AudioFormat.MP3 and self.rate_control is RateControl.VBR
        if self.quality is not None:
            if self.format is not AudioFormat.MP3:
                raise ValueError(f"quality has no meaning for {self.format}; mp3 alone has it")
            if self.rate_control is RateControl.CBR:
                raise ValueError("quality is for a variable bit rate: leave it out, or say rate_control vbr")
        if self.bitrate_kbps is not None and (self.quality is not None or is_vbr_mp3):
            raise ValueError("a variable bit rate of mp3 goes by quality: leave bitrate_kbps out")

    def _check_depth(self) -> None:
        if self.bit_depth is not None:
            depths = _BIT_DEPTHS.get(self.format)
            if depths is None:
                raise ValueError(f"bit_depth has no meaning for {self.format}, which is lossy")
            if self.bit_depth not in depths:
                raise ValueError(f"{self.format} takes a bit_depth of {_listed(depths)}")
        if self.compression_level is not None and self.format is not AudioFormat.FLAC:
            raise ValueError(f"compression_level has no meaning for {self.format}; flac alone has it")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


class WholeEncoding(Encoding):
    """How to write all of the audio into one file, of which more can be said than of a part."""

    keep_chapters: bool = Field(
        default=True,
        description="Carry over the input's chapters (255 at most) to mp3, opus, aac, alac and flac, if no edit moves "
        "the audio: fade, high_pass and denoise do not. wav has no place.",
    )
    loudness_tags: bool = Field(
        default=False,
        description="Measure what is written, and tell players how far to turn it up or down: ReplayGain 2.0 tags in "
        "mp3, flac, aac and alac, R128 tags in opus. It takes a pass over the audio more.",
    )

    @model_validator(mode="after")
    def _has_a_place_for_loudness_tags(self) -> Self:
        if self.loudness_tags and self.format is AudioFormat.WAV:
            raise ValueError("wav has no place for loudness_tags")
        return self


class Transcode(Operation, Edited, WholeEncoding):
    """The input in another format."""

    summary = "The audio in another format, bit rate, sample rate or channel count"
    example: ClassVar[dict[str, Any]] = {"op": "transcode", "format": "opus", "bitrate_kbps": 64}

    op: Literal["transcode"] = "transcode"


class Normalize(Operation, Edited, WholeEncoding):
    """The input at a target loudness, by one gain for all of it; peaks that it takes over the ceiling are limited."""

    summary = "A master at a target loudness: linear gain, and a true-peak limiter where that would pass the ceiling"
    example: ClassVar[dict[str, Any]] = {"op": "normalize", "target_lufs": -16, "true_peak_dbtp": -1, "format": "flac"}

    op: Literal["normalize"] = "normalize"
    target_lufs: float = Field(default=-16.0, ge=-70.0, le=-5.0, description="Integrated loudness to reach, LUFS.")
    true_peak_dbtp: float = Field(default=-1.0, ge=-20.0, le=0.0, description="Ceiling of the true peak, dBTP.")
    limiter: bool = Field(
        default=True,
        description="Limit the peaks that the gain takes over the ceiling; without it, the gain stops at the ceiling.",
    )
    format: AudioFormat = AudioFormat.FLAC
    dual_mono: DualMono = False
    album: tuple[Name, ...] = Field(
        default=(),
        max_length=MAX_ALBUM_TRACKS,
        description="Names of further inputs that are tracks of the same album: their loudness is measured together "
        "with the input's, one gain takes all of them to the target, and each gets a file of its own.",
    )
    check: Literal["acx"] | None = Field(
        default=None, description="acx: hold the finished file against the rules for audiobooks, as the operation does."
    )

    @model_validator(mode="after")
    def _has_each_track_once(self) -> Self:
        if len(set(self.album)) < len(self.album):
            raise ValueError("album names the same input twice")
        return self
