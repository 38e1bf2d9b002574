"""From what was asked to what is written: the sample rate, channels, bit rate and depth of an output."""

from dataclasses import dataclass

from services.worker.audio.layouts import STANDARD_LAYOUTS
from services.worker.audio.pcm import Pcm, Resolution
from shared.schema.operations import (
    AAC_SAMPLE_RATES,
    CHANNEL_COUNTS,
    LOSSY_FORMATS,
    MP3_SAMPLE_RATES,
    OPUS_SAMPLE_RATES,
    AudioFormat,
    Encoding,
    RateControl,
)

_SAMPLE_RATES = {
    AudioFormat.MP3: MP3_SAMPLE_RATES,
    AudioFormat.OPUS: OPUS_SAMPLE_RATES,
    AudioFormat.AAC: AAC_SAMPLE_RATES,
}
# Formats that keep 24 bits of a source with more than 16. WAV does when asked: 16 bits are what every player takes.
_DEEP_FORMATS = frozenset({AudioFormat.FLAC, AudioFormat.ALAC})
_USUAL_QUALITY = 2
_KBPS_A_CHANNEL = 64
_MPEG1_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBPS = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_OPUS_MOST_KBPS_A_CHANNEL = 256

M4A_FORMATS = frozenset({AudioFormat.AAC, AudioFormat.ALAC})
EXTENSIONS = {
    AudioFormat.MP3: "mp3",
    AudioFormat.OPUS: "opus",
    AudioFormat.AAC: "m4a",
    AudioFormat.FLAC: "flac",
    AudioFormat.ALAC: "m4a",
    AudioFormat.WAV: "wav",
}
MEDIA_TYPES = {
    AudioFormat.MP3: "audio/mpeg",
    AudioFormat.OPUS: "audio/ogg",
    AudioFormat.AAC: "audio/mp4",
    AudioFormat.FLAC: "audio/flac",
    AudioFormat.ALAC: "audio/mp4",
    AudioFormat.WAV: "audio/wav",
}


@dataclass(frozen=True)
class Plan:
    """What an encoder writes.

    Attributes:
        format: codec and container.
        sample_rate: Hz.
        channels: FFmpeg's channel names, in the order that every format here shares.
        bitrate_kbps: None for lossless formats, and where `quality` rules.
        bits: 16 or 24 for lossless formats, 32 for float; for the others, 0.
        quality: LAME's, for a variable bit rate; else None.
        is_cbr: a constant bit rate, of the formats that have both.
        compression_level: FLAC's; None for its default.
    """

    format: AudioFormat
    sample_rate: int
    channels: tuple[str, ...]
    bitrate_kbps: int | None
    bits: int
    quality: int | None = None
    is_cbr: bool = False
    compression_level: int | None = None

    @property
    def layout(self) -> str:
        """FFmpeg's name of the channel layout."""
        return STANDARD_LAYOUTS[len(self.channels)][0]


def plan_encoding(asked: Encoding, source: Pcm) -> Plan:
    """Fill in what was left open, from the source and what the format can hold.

    The sample rate is the source's, or the next higher that the format has; so are the channels, if there is one.
    FLAC and ALAC keep 24 bits of a source with more than 16; all else that is written as integers has 16 bits unless
    more are asked for. A bit rate that MP3 does not have becomes the nearest it has.
    """
    channels = asked.channels or _nearest_count(asked.format, len(source.channels))
    rate = asked.sample_rate or _nearest_rate(asked.format, source.sample_rate)
    quality = asked.quality
    if asked.format is AudioFormat.MP3 and asked.rate_control is RateControl.VBR and quality is None:
        quality = _USUAL_QUALITY
    kbps = None
    if asked.format in LOSSY_FORMATS and quality is None:
        kbps = _fitting_kbps(asked.format, asked.bitrate_kbps or _KBPS_A_CHANNEL * channels, rate, channels)
    return Plan(
        asked.format,
        rate,
        STANDARD_LAYOUTS[channels][1],
        kbps,
        _bits(asked, source),
        quality,
        asked.rate_control is RateControl.CBR,
        asked.compression_level,
    )


def _bits(asked: Encoding, source: Pcm) -> int:
    if asked.format in LOSSY_FORMATS:
        return 0
    deep = source.resolution in {Resolution.INT24, Resolution.FLOAT} and asked.format in _DEEP_FORMATS
    return asked.bit_depth or (24 if deep else 16)


def _nearest_count(audio_format: AudioFormat, channels: int) -> int:
    counts = CHANNEL_COUNTS.get(audio_format)
    if counts is None:
        return min(channels, 8)
    return min((count for count in counts if count >= channels), default=max(counts))


def _nearest_rate(audio_format: AudioFormat, rate: int) -> int:
    rates = _SAMPLE_RATES.get(audio_format)
    if rates is None:
        return rate
    return min((candidate for candidate in rates if candidate >= rate), default=max(rates))


def _fitting_kbps(audio_format: AudioFormat, kbps: int, rate: int, channels: int) -> int:
    if audio_format is AudioFormat.MP3:
        return min(_MPEG1_KBPS if rate >= 32_000 else _MPEG2_KBPS, key=lambda has: abs(has - kbps))
    if audio_format is AudioFormat.OPUS:
        return min(kbps, _OPUS_MOST_KBPS_A_CHANNEL * channels)
    return kbps
