"""Small files of every container and codec that the engine opens, to be damaged."""

import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import sine, voice_like

_SECONDS = 0.3
_RATE = 48_000
_CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={start + 100}\ntitle=From {start}\n" for start in (0, 100, 200)
)
# What FFmpeg's encoders can write: the container by the extension, the codec, and more.
_ENCODED: dict[str, tuple[str, ...]] = {
    "u8.wav": ("pcm_u8", "-ar", "8000", "-ac", "1"),
    "s16.wav": ("pcm_s16le",),
    "s24.wav": ("pcm_s24le", "-ac", "6"),
    "s32.wav": ("pcm_s32le",),
    "f32.wav": ("pcm_f32le",),
    "f64.wav": ("pcm_f64le", "-ac", "1"),
    "alaw.wav": ("pcm_alaw", "-ar", "8000", "-ac", "1"),
    "mulaw.au": ("pcm_mulaw", "-ar", "8000", "-ac", "1"),
    "s16.au": ("pcm_s16be",),
    "f64.au": ("pcm_f64be", "-ac", "1"),
    "ms.wav": ("adpcm_ms",),
    "ima.wav": ("adpcm_ima_wav",),
    "s16.w64": ("pcm_s16le",),
    "rf64.wav": ("pcm_s16le", "-rf64", "always"),
    "s16.aiff": ("pcm_s16be",),
    "f32.aiff": ("pcm_f32be",),
    "s8.aiff": ("pcm_s8",),
    "s24.caf": ("pcm_s24be",),
    "alac.caf": ("alac",),
    "a.flac": ("flac",),
    "deep.flac": ("flac", "-sample_fmt", "s32", "-ac", "1"),
    "cbr.mp3": ("libmp3lame", "-b:a", "64k"),
    "vbr.mp3": ("libmp3lame", "-q:a", "6", "-write_xing", "0", "-id3v2_version", "0"),
    "low.mp3": ("libmp3lame", "-ar", "11025", "-ac", "1"),
    "layer2.mp3": ("mp2", "-f", "mp2"),
    "adts.aac": ("aac", "-b:a", "48k"),
    "a.ac3": ("ac3", "-b:a", "96k"),
    "a.eac3": ("eac3", "-b:a", "96k"),
    "a.amr": ("libopencore_amrnb", "-ar", "8000", "-ac", "1", "-b:a", "12.2k"),
    "one.wma": ("wmav1", "-b:a", "48k"),
    "two.wma": ("wmav2", "-b:a", "48k"),
    "opus.mka": ("libopus", "-b:a", "32k"),
    "aac.mkv": ("aac", "-b:a", "48k"),
    "pcm.mka": ("pcm_s16le", "-ac", "1"),
    "opus.webm": ("libopus", "-b:a", "32k"),
    "aac.m4a": ("aac", "-b:a", "48k"),
    "front.mp4": ("aac", "-b:a", "48k", "-movflags", "+faststart"),
    "pieces.mp4": ("aac", "-b:a", "48k", "-movflags", "+frag_keyframe+empty_moov", "-frag_duration", "100000"),
    "alac.m4a": ("alac",),
    "pcm.mov": ("pcm_s16le",),
    "opus.ogg": ("libopus", "-b:a", "32k", "-page_duration", "40000"),
    "surround.opus": ("libopus", "-ac", "6", "-b:a", "96k"),
    "vorbis.ogg": ("libvorbis", "-q:a", "0"),
    "flac.oga": ("flac",),
    "a.wv": ("wavpack",),
}


@cache
def seeds() -> dict[str, bytes]:
    """The files by their names; the same ones every time for the same FFmpeg."""
    signal = sine(440, -12, _SECONDS) + 0.1 * voice_like(_SECONDS, _RATE, 2)
    raw = np.ascontiguousarray(signal.T).tobytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outputs: list[str | Path] = []
        for target, encoding in _ENCODED.items():
            outputs += ["-map", "0:a", "-map_chapters", "1", "-strict", "-2", "-c:a", *encoding, folder / target]
        (folder / "chapters").write_text(_CHAPTERS)
        sound = ("-f", "f64le", "-ar", str(_RATE), "-ch_layout", "stereo", "-i", "pipe:0")
        chapters = ("-f", "ffmetadata", "-i", folder / "chapters")
        tags = ("-metadata", "title=A title", "-metadata", "artist=Somebody")
        # One process writes all of them: a process for each would take ten times as long.
        ffmpeg(*sound, *chapters, *tags, *outputs, stdin=raw)
        encoded = {target: (folder / target).read_bytes() for target in _ENCODED}
    return encoded | MADE_BY_HAND


def _wav(tag: int, shape: tuple[int, int], block: int, extra: bytes, data: bytes, *, bits: int = 16) -> bytes:
    """A WAV file of a codec's tag, in blocks of so many bytes; `shape` is channels and sample rate."""
    channels, rate = shape
    head = struct.pack("<HHIIHHH", tag, channels, rate, rate * channels // 2, block, bits, len(extra)) + extra
    chunks = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def _by_hand() -> dict[str, bytes]:
    """Codecs that nobody here can encode: the right headers in front of chance, which decoders take for audio."""
    chance = np.random.default_rng(0).bytes
    windows_media = struct.pack("<HI8xHH", 16, 3, 0x00E0, 0)
    # AMR-WB, mode 2: RFC 4867, 5.3; layer I of MPEG-1 at 288 kbit/s.
    wideband = b"#!AMR-WB\n" + b"".join(b"\x14" + chance(32) for _ in range(20))
    layer_1 = b"".join(b"\xff\xff\x90\x40" + chance(308) for _ in range(20))
    return {
        "amr.amr": wideband,
        "layer1.mp3": layer_1,
        "gsm.wav": _wav(0x31, (1, 8000), 65, struct.pack("<H", 320), chance(65 * 20), bits=0),
        "speex.wav": _wav(0xA109, (1, 16_000), 70, b"", chance(70 * 20)),
        "pro.wav": _wav(0x162, (2, 44_100), 1024, windows_media, chance(1024 * 10)),
        "lossless.wav": _wav(0x163, (2, 44_100), 1024, windows_media, chance(1024 * 10)),
    }


MADE_BY_HAND = _by_hand()
