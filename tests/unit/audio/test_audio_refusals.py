"""Files that are no audio, or not all of it: each is an AudioError with a sentence, not trouble of the machine."""

import struct
import tempfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio import errors
from services.worker.audio.engine import process
from services.worker.audio.limits import Limits
from shared.schema.operations import Loudness, Normalize, Probe, Transcode
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import save, sine, voice_like

SECONDS = 5.0


def refused(source: Path, kind: type[errors.AudioError], limits: Limits = Limits()) -> str:  # noqa: B008 - frozen
    """Process a file that must be refused in a certain way, and leave nothing; the message."""
    output = source.parent / "out"
    output.mkdir()
    with pytest.raises(errors.AudioError) as caught:
        process(source, (Probe(), Loudness(), Transcode(format="mp3"), Normalize()), output, limits=limits)
    assert type(caught.value) is kind, caught.value
    assert not list(output.iterdir())
    message = str(caught.value)
    assert message[0].isupper()
    assert message.endswith(".")
    assert str(source.parent) not in message
    return message


def png() -> bytes:
    """One white pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0\xff\xff\xff")
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert refused(tmp_path / "a", errors.EmptyFile) == "The file is empty."


@pytest.mark.parametrize(
    "content",
    [
        b"It was the best of times, it was the worst of times.\n" * 200,
        b"a",
        bytes(100_000),
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" * 50,
        b"PK\x03\x04" + bytes(500),
        np.random.default_rng(0).bytes(200_000),
    ],
    ids=["text", "one byte", "zeros", "pdf", "zip", "noise"],
)
def test_no_audio(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert "Not an audio file" in refused(tmp_path / "a", errors.NotAudio)


def test_picture(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(png())
    assert "Not an audio file" in refused(tmp_path / "a", errors.UnsupportedFormat)


def test_video_without_sound(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=d=1:s=64x64", tmp_path / "a.mp4")
    assert refused(tmp_path / "a.mp4", errors.NotAudio) == "Not an audio file: no audio stream was found."


def test_wav_without_samples(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", sine(440, -20, 0))
    assert "empty" in refused(tmp_path / "a.wav", errors.EmptyFile)


TRUNCATED = {
    "a.wav": ("pcm_s16le",),
    "a.mp3": ("libmp3lame",),
    "cbr-without-header.mp3": ("libmp3lame", "-write_xing", "0"),
    "vbr.mp3": ("libmp3lame", "-q:a", "4"),
    "vbr-without-header.mp3": ("libmp3lame", "-q:a", "4", "-write_xing", "0"),
    "a.flac": ("flac",),
    "a.opus": ("libopus",),
    "a.ogg": ("libvorbis",),
    "index-behind.m4a": ("aac",),
    "index-in-front.m4a": ("aac", "-movflags", "+faststart"),
    "a.aac": ("aac",),
    "a.webm": ("libopus",),
    "a.mka": ("flac",),
    "a.aiff": ("pcm_s16be",),
}


def test_mp3_cut_between_two_frames(tmp_path: Path) -> None:
    # At 48 kHz and 128 kbit/s each frame has 384 bytes: only the count in the Info frame tells that some are missing.
    encoding = ("libmp3lame", "-b:a", "128k", "-id3v2_version", "0")
    source = save(tmp_path / "a.mp3", voice_like(SECONDS, 48_000, 2), 48_000, *encoding)
    source.write_bytes(source.read_bytes()[: 384 * 150])
    assert "should have 5.0 seconds" in refused(source, errors.TruncatedFile)


@cache
def whole(name: str) -> bytes:
    """A file that will be cut."""
    with tempfile.TemporaryDirectory() as directory:
        return save(Path(directory) / name, voice_like(SECONDS, 44_100, 2), 44_100, *TRUNCATED[name]).read_bytes()


@pytest.mark.parametrize("share", [0.06, 0.5, 0.95])
@pytest.mark.parametrize("name", TRUNCATED)
def test_truncated_file(tmp_path: Path, name: str, share: float) -> None:
    source = tmp_path / name
    # An odd place, so that no format's frame ends there by chance.
    source.write_bytes(whole(name)[: int(len(whole(name)) * share) | 1])
    # Of an Ogg file that ends within its first page, nothing can be told but that it is no good.
    nothing_left = name in {"a.opus", "a.ogg"} and share < 0.1
    assert "cut short" in refused(source, errors.DamagedFile if nothing_left else errors.TruncatedFile)
