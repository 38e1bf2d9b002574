"""Odd but honest files, as recorders, editors and phones write them: none may be refused, none may lose sound."""

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from services.worker.audio.report import Report
from shared.schema.operations import Loudness, Normalize, Probe, Transcode, Waveform
from shared.schema.results import LoudnessResult, ProbeResult
from tests.unit.audio.independent import ffmpeg, read
from tests.unit.audio.signals import save, sine, voice_like

SECONDS = 4.0
RATE = 44_100
MP3_FRAME_SECONDS = 1152 / RATE


def accepted(source: Path, seconds: float = SECONDS, tolerance: float = 1e-4, name: str | None = None) -> Report:
    """Process a file that must be accepted, whose length is known."""
    output = source.parent / "out"
    output.mkdir()
    operations = (Probe(), Loudness(), Waveform(), Transcode(format="flac"), Normalize(format="wav"))
    report = process(source, operations, output, source_name=name)
    assert report.audio_seconds == pytest.approx(seconds, abs=tolerance)
    return report


def speech(path: Path, *encoding: str, seconds: float = SECONDS, channels: int = 2, rate: int = RATE) -> Path:
    """Some seconds in a format."""
    return save(path, voice_like(seconds, rate, channels), rate, *encoding)


def patch(path: Path, marker: bytes, offset: int, data: bytes) -> None:
    """Overwrite bytes at an offset from a marker."""
    content = bytearray(path.read_bytes())
    position = content.index(marker) + offset
    content[position : position + len(data)] = data
    path.write_bytes(content)


@pytest.mark.parametrize("declared", [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 0x7FFF_F000, 0x8000_0000])
def test_wav_from_a_pipe(tmp_path: Path, declared: int) -> None:
    source = speech(tmp_path / "a.wav")
    patch(source, b"RIFF", 4, struct.pack("<I", declared))
    patch(source, b"data", 4, struct.pack("<I", declared))
    accepted(source)


def test_wav_written_by_ffmpeg_to_a_pipe(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.flac", "flac")
    (tmp_path / "pipe.wav").write_bytes(ffmpeg("-i", source, "-f", "wav", "-").stdout)
    accepted(tmp_path / "pipe.wav")


def test_wav_whose_length_counts_its_header(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.wav")
    patch(source, b"data", 4, struct.pack("<I", round(SECONDS * RATE) * 4 + 44))
    accepted(source)


def test_wav_with_chunks_behind_the_audio(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.wav")
    source.write_bytes(source.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO" + b"junk")
    accepted(source)


@pytest.mark.parametrize("encoding", [("-q:a", "4"), ("-b:a", "128k")], ids=["vbr", "cbr"])
def test_mp3_without_info_frame(tmp_path: Path, encoding: tuple[str, ...]) -> None:
    # Nothing tells of the encoder's delay and padding: they are heard.
    source = speech(tmp_path / "a.mp3", "libmp3lame", *encoding, "-write_xing", "0")
    accepted(source, SECONDS + 1.5 * MP3_FRAME_SECONDS, 1.5 * MP3_FRAME_SECONDS)


def id3v1() -> bytes:
    return b"TAG" + b"A title".ljust(124, b"\0") + b"\x0c"


def ape_tag(value: bytes = b"Dickens") -> bytes:
    item = struct.pack("<II", len(value), 0) + b"Artist\0" + value
    size, count = len(item) + 32, 1

    def block(flags: int) -> bytes:
        return b"APETAGEX" + struct.pack("<IIII", 2000, size, count, flags) + bytes(8)

    return block(0xA000_0000) + item + block(0x8000_0000)


def lyrics() -> bytes:
    text = b"LYRICSBEGIN" + b"LYR00005Hello"
    return text + f"{len(text):06}".encode() + b"LYRICS200"


@pytest.mark.parametrize("header", ["1", "0"], ids=["with info frame", "without"])
@pytest.mark.parametrize(
    "tail",
    [
        id3v1(),
        ape_tag(),
        ape_tag() + id3v1(),
        ape_tag(b"\xff\xfb\x90\x64" + bytes(60)),
        lyrics() + id3v1(),
        bytes(3000),
        b"\xff" * 500,
    ],
    ids=["id3v1", "ape", "ape and id3v1", "ape that looks like a frame", "lyrics3", "zeros", "ones"],
)
def test_mp3_with_something_behind_it(tmp_path: Path, tail: bytes, header: str) -> None:
    source = speech(tmp_path / "a.mp3", "libmp3lame", "-write_xing", header, "-id3v2_version", "0")
    source.write_bytes(source.read_bytes() + tail)
    accepted(source, SECONDS + 1.5 * MP3_FRAME_SECONDS, 1.6 * MP3_FRAME_SECONDS)


def test_short_mp3_of_long_frames(tmp_path: Path) -> None:
    # At 8 kHz a frame is 72 ms: delay and padding are a good part of all the frames that are announced.
    accepted(speech(tmp_path / "a.mp3", "libmp3lame", seconds=0.5, channels=1, rate=8_000), 0.5)


@pytest.mark.parametrize("junk", [b"\0" * 4000, b"\x01\x02\x03\x04" * 500])
def test_mp3_with_something_in_front(tmp_path: Path, junk: bytes) -> None:
    source = speech(tmp_path / "a.mp3", "libmp3lame", "-id3v2_version", "0")
    source.write_bytes(junk + source.read_bytes())
    accepted(source, SECONDS, 3 * MP3_FRAME_SECONDS, "a.mp3")


def test_mp3_that_begins_in_the_middle(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.mp3", "libmp3lame", "-id3v2_version", "0")
    content = source.read_bytes()
    source.write_bytes(content[len(content) // 4 + 77 :])
    accepted(source, SECONDS * 0.75, 4 * MP3_FRAME_SECONDS)


@pytest.mark.parametrize("art_bytes", [20_000, 7_000_000])
def test_mp3_with_cover_art(tmp_path: Path, art_bytes: int) -> None:
    speech(tmp_path / "plain.mp3", "libmp3lame", "-id3v2_version", "0")
    noise = np.random.default_rng(0).integers(0, 256, (art_bytes // 3 // 1000, 1000, 3), np.uint8)
    size = f"{noise.shape[1]}x{noise.shape[0]}"
    ffmpeg(
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-i", "pipe:0", tmp_path / "art.png", stdin=noise.tobytes()
    )
    source = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "plain.mp3", "-i", tmp_path / "art.png", "-map", "0", "-map", "1", "-c", "copy", source)
    assert source.stat().st_size > art_bytes
    accepted(source, SECONDS, name="a.mp3")


@pytest.mark.parametrize("name", ["a.m4a", "a.flac"])
def test_cover_art_in_other_containers(tmp_path: Path, name: str) -> None:
    plain = speech(tmp_path / f"plain-{name}", "aac" if name == "a.m4a" else "flac")
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=300x300", "-frames:v", "1", tmp_path / "art.png")
    more = ("-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic", tmp_path / name)
    ffmpeg("-i", plain, "-i", tmp_path / "art.png", *more)
    accepted(tmp_path / name)


def test_sound_of_a_video(tmp_path: Path) -> None:
    sound = speech(tmp_path / "a.wav")
    ffmpeg("-f", "lavfi", "-i", f"testsrc=d={SECONDS + 2}:s=64x64", "-i", sound, "-c:a", "aac", tmp_path / "a.mp4")
    ffmpeg("-i", tmp_path / "a.mp4", "-c", "copy", tmp_path / "a.mkv")
    accepted(tmp_path / "a.mp4")
    shutil.rmtree(tmp_path / "out")
    accepted(tmp_path / "a.mkv", SECONDS, 0.03)


@pytest.mark.parametrize(("name", "encoding"), [("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.ogg", "libvorbis")])
def test_two_files_made_one_by_cat(tmp_path: Path, name: str, encoding: str) -> None:
    source = speech(tmp_path / name, encoding, "-id3v2_version", "3", rate=48_000)
    source.write_bytes(source.read_bytes() * 2)
    accepted(source, 2 * SECONDS, 0.06)


def test_parameters_that_change_on_the_way(tmp_path: Path) -> None:
    first = speech(tmp_path / "first.mp3", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0")
    other = speech(tmp_path / "other.mp3", "libmp3lame", "-write_xing", "0", channels=1, rate=22_050)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + other.read_bytes() + first.read_bytes())
    report = accepted(joined, 3 * SECONDS, 0.3)
    probe = report.results["probe"]
    assert isinstance(probe, ProbeResult)
    assert (probe.streams[0].sample_rate, probe.streams[0].channels) == (44_100, 2)


def test_ogg_recorded_off_the_air(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.opus", "libopus", "-page_duration", "100000", rate=48_000)
    content = source.read_bytes()
    source.write_bytes(content[: content.rindex(b"OggS")])  # no page says that it is the last
    accepted(source, SECONDS, 0.2)


def test_flac_of_unknown_length(tmp_path: Path) -> None:
    source = speech(tmp_path / "a.flac", "flac")
    content = bytearray(source.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    source.write_bytes(content)
    accepted(source)


@pytest.mark.parametrize(("content", "name"), [("a.wav", "voice.mp3"), ("a.mp3", "voice.wav"), ("a.m4a", "voice.txt")])
def test_wrong_extension(tmp_path: Path, content: str, name: str) -> None:
    encoding = {"a.wav": "pcm_s16le", "a.mp3": "libmp3lame", "a.m4a": "aac"}[content]
    accepted(speech(tmp_path / content, encoding), name=name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_float_wav_with_values_that_are_no_sound(tmp_path: Path, value: float) -> None:
    signal = sine(997, -20, SECONDS, RATE)
    signal[:, 50_000:50_010] = value
    report = accepted(save(tmp_path / "a.wav", signal, RATE, "pcm_f32le"))
    loudness = report.results["loudness"]
    assert isinstance(loudness, LoudnessResult)
    assert loudness.integrated_lufs is not None
    if np.isnan(value):
        assert loudness.integrated_lufs == pytest.approx(-20, abs=0.1)
    assert np.isfinite(read(report.artifacts[-1].path)).all()


def damage(content: bytes, seed: int, bytes_hit: int) -> bytes:
    damaged = bytearray(content)
    for position in np.random.default_rng(seed).integers(len(content) // 10, len(content), bytes_hit):
        damaged[position] ^= 0x55
    return bytes(damaged)


@pytest.mark.parametrize(("name", "encoding"), [("a.mp3", "libmp3lame"), ("a.opus", "libopus"), ("a.m4a", "aac")])
def test_a_few_wrong_bytes(tmp_path: Path, name: str, encoding: str) -> None:
    pages = ("-page_duration", "20000") if encoding == "libopus" else ()
    source = speech(tmp_path / name, encoding, *pages)
    source.write_bytes(damage(source.read_bytes(), 7, 2))
    accepted(source, SECONDS, 0.12)
