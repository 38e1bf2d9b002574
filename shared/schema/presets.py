"""Built-in presets: tuples of operations for common purposes, each with the source of its figures."""

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.edits import Denoise, HighPass, RemoveSilence, TrimSilence
from shared.schema.names import Name
from shared.schema.operations import AnyOperation, AudioFormat, Normalize

MAX_PRESET_OPERATIONS = 32


class Preset(BaseModel):
    """Operations under a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    description: str = Field(max_length=500)
    operations: tuple[AnyOperation, ...] = Field(min_length=1, max_length=MAX_PRESET_OPERATIONS)


# -16 LUFS for stereo and -19 for mono, which two speakers play 3 dB louder: what Apple Podcasts asks for (-16 LKFS,
# true peak at most -1 dBFS) and AES TD1004.1.15-10 allows (-20 to -16). `dual_mono` makes one target of the two. The
# ceiling leaves a decibel for what the MP3 encoder adds.
PODCAST = Preset(
    name="podcast",
    description="An episode as MP3: rumble filtered, -16 LUFS (mono: -19 LUFS, as loud on two speakers), "
    "true peak at most -1 dBTP after encoding.",
    operations=(
        Normalize(
            name="podcast",
            edits=(HighPass(frequency_hz=80, order=2),),
            target_lufs=-16,
            true_peak_dbtp=-2,
            dual_mono=True,
            format=AudioFormat.MP3,
        ),
    ),
)

# ACX audio submission requirements (https://help.acx.com/s/article/what-are-the-acx-audio-submission-requirements):
# RMS -23 to -18 dB, peaks at most -3 dB, noise floor at most -60 dB RMS, MP3 of 192 kbit/s or more at a constant bit
# rate and 44.1 kHz, 0.5 to 1 s of room tone before and 1 to 5 s after; all files mono, or all stereo.
AUDIOBOOK = Preset(
    name="audiobook",
    description="A chapter for ACX and Audible: mono MP3 of 192 kbit/s at 44.1 kHz, a second of room tone kept at "
    "either end, and each rule of ACX checked on the finished file.",
    operations=(
        Normalize(
            name="audiobook",
            edits=(HighPass(frequency_hz=80, order=2), TrimSilence(padding_seconds=1.0)),
            target_lufs=-20,
            true_peak_dbtp=-3.5,
            format=AudioFormat.MP3,
            bitrate_kbps=192,
            sample_rate=44_100,
            channels=1,
            check="acx",
        ),
    ),
)

# Spotify, YouTube, Tidal and Amazon play at -14 LUFS and ask for true peaks of at most -1 dBTP; AES TD1008 has the same
# ceiling. Lossless: the service encodes.
MUSIC_STREAMING = Preset(
    name="music-streaming",
    description="A master for streaming services: FLAC at -14 LUFS, true peak at most -1 dBTP.",
    operations=(Normalize(name="music-streaming", target_lufs=-14, true_peak_dbtp=-1, format=AudioFormat.FLAC),),
)

# EBU R 128 (2023): programme loudness -23.0 LUFS, maximum permitted true peak -1 dBTP.
BROADCAST_R128 = Preset(
    name="broadcast-r128",
    description="A programme for broadcasting after EBU R 128: WAV at 48 kHz and 24 bits, -23 LUFS, "
    "true peak at most -1 dBTP.",
    operations=(
        Normalize(
            name="broadcast-r128",
            target_lufs=-23,
            true_peak_dbtp=-1,
            format=AudioFormat.WAV,
            bit_depth=24,
            sample_rate=48_000,
        ),
    ),
)

# RFC 6716, 2.1.1: Opus carries speech at full band from 28 to 40 kbit/s. The levels are the podcast's.
VOICE_NOTE = Preset(
    name="voice-note",
    description="A small file of speech: mono Opus of 32 kbit/s, rumble and steady noise turned down, long pauses "
    "shortened, -16 LUFS on two speakers.",
    operations=(
        Normalize(
            name="voice-note",
            edits=(
                HighPass(frequency_hz=80, order=2),
                Denoise(reduction_db=12),
                TrimSilence(padding_seconds=0.2),
                RemoveSilence(min_seconds=1.5, keep_seconds=0.7),
            ),
            target_lufs=-16,
            true_peak_dbtp=-2,
            dual_mono=True,
            format=AudioFormat.OPUS,
            bitrate_kbps=32,
            channels=1,
        ),
    ),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (PODCAST, AUDIOBOOK, MUSIC_STREAMING, BROADCAST_R128, VOICE_NOTE)
}
