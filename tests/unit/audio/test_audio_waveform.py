"""Waveform data, byte for byte what audiowaveform writes by its own description, worked out sample by sample."""

import json
import struct
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from services.worker.audio.engine import process
from services.worker.audio.waveform import Outline
from shared.schema.operations import Waveform
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import save, silence, voice_like

RATE = 44_100


def plain(samples: list[tuple[int, ...]], samples_per_pixel: int, bits: int) -> list[int]:
    """Minimum and maximum of each pixel; integer divisions cut off the fraction, as they do in C."""

    def cut(number: int, divisor: int) -> int:
        return int(number / divisor)

    mono = [cut(sum(frame), len(frame)) for frame in samples]
    values = []
    for start in range(0, len(mono), samples_per_pixel):
        pixel = mono[start : start + samples_per_pixel]
        values += [min(pixel), max(pixel)]
    return [cut(value, 256) for value in values] if bits == 8 else values


def loud(frames: int, channels: int) -> np.ndarray:
    """From full scale to almost nothing, with both extremes of 16 bits."""
    signal = voice_like(frames / RATE, RATE, channels) * 2 * np.linspace(1, 1e-4, frames)
    signal[:, frames // 2] = -1.0
    signal[:, frames // 3] = 32767 / 32768
    return np.clip(signal, -1, 32767 / 32768)


SIZES = ((5_000, 256), (5_120, 256), (2_001, 2), (3, 1_000_000))
CASES = [
    *(("pcm_s16le", channels, size) for channels in (1, 2, 6) for size in SIZES),
    *((codec, channels, SIZES[0]) for codec in ("pcm_s24le", "pcm_f32le", "pcm_u8") for channels in (1, 2, 6)),
]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("codec", "channels", "size"), CASES)
def test_data_file(tmp_path: Path, codec: str, channels: int, size: tuple[int, int], bits: int) -> None:
    frames, samples_per_pixel = size
    signal = loud(frames, channels)
    source = save(tmp_path / "a.wav", signal, RATE, codec)
    operation = Waveform(samples_per_pixel=samples_per_pixel, bits=bits, formats=("dat", "json"))
    report = process(source, (operation,), tmp_path)

    # The samples as libsndfile gives them to audiowaveform: 16-bit integers.
    raw = source.read_bytes()
    start = raw.index(b"data") + 8
    raw = raw[start : start + int.from_bytes(raw[start - 4 : start], "little")]
    if codec == "pcm_s16le":
        integers = np.frombuffer(raw, "<i2").astype(int)
    elif codec == "pcm_u8":
        integers = (np.frombuffer(raw, "u1").astype(int) - 128) * 256
    elif codec == "pcm_s24le":
        integers = np.frombuffer(raw, "u1").reshape(-1, 3)[:, 1:].copy().view("<i2")[:, 0].astype(int)
    else:
        integers = np.array([int(np.float32(value) * np.float32(32767)) for value in np.frombuffer(raw, "<f4")])
    expected = plain([tuple(frame) for frame in integers.reshape(-1, channels).tolist()], samples_per_pixel, bits)

    length = -(-frames // samples_per_pixel)
    header = struct.pack("<iIiiIi", 2, 1 if bits == 8 else 0, RATE, samples_per_pixel, length, 1)
    form = f"<{len(expected)}{'b' if bits == 8 else 'h'}"
    assert (tmp_path / "waveform.dat").read_bytes() == header + struct.pack(form, *expected)
    assert json.loads((tmp_path / "waveform.json").read_text()) == {
        "version": 2,
        "channels": 1,
        "sample_rate": RATE,
        "samples_per_pixel": samples_per_pixel,
        "bits": bits,
        "length": length,
        "data": expected,
    }
    assert report.results["waveform"].model_dump() == {
        "op": "waveform",
        "sample_rate": RATE,
        "samples_per_pixel": samples_per_pixel,
        "bits": bits,
        "channels": 1,
        "length": length,
        "artifacts": ("waveform.dat", "waveform.json"),
    }


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
def test_flac_gives_the_bytes_of_wav(tmp_path: Path, codec: str) -> None:
    frames = 2 * 131_072 + 5
    save(tmp_path / "a.wav", loud(frames, 2), RATE, codec)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "flac", tmp_path / "a.flac")
    operation = Waveform(samples_per_pixel=1000, bits=16)
    written = []
    for name in ("a.wav", "a.flac"):
        process(tmp_path / name, (operation,), tmp_path)
        written.append((tmp_path / "waveform.dat").read_bytes())
    assert written[0] == written[1]
    # The lower eight of 24 bits are cut off.
    raw = ffmpeg("-v", "error", "-i", tmp_path / "a.flac", "-c:a", "pcm_s32le", "-f", "s32le", "-").stdout
    integers = (np.frombuffer(raw, "<i4") >> 16).reshape(-1, 2)
    expected = plain([tuple(frame) for frame in integers.tolist()], 1000, 16)
    assert written[0][24:] == struct.pack(f"<{len(expected)}h", *expected)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.opus", "libopus"), ("a.ogg", "libvorbis")]
)
def test_lossy_files_are_within_one_step(tmp_path: Path, name: str, codec: str, bits: int) -> None:
    rate = 48_000 if codec == "libopus" else RATE
    source = save(tmp_path / name, voice_like(6, rate, 2), rate, codec)
    process(source, (Waveform(samples_per_pixel=512, bits=bits),), tmp_path)
    # As FFmpeg decodes it to integers of 16 bits, for audiowaveform takes no others.
    raw = ffmpeg("-v", "error", "-i", source, "-c:a", "pcm_s16le", "-f", "s16le", "-").stdout
    integers = np.frombuffer(raw, "<i2").reshape(-1, 2)
    expected = plain([tuple(frame) for frame in integers.tolist()], 512, bits)
    values = np.frombuffer((tmp_path / "waveform.dat").read_bytes()[24:], "i1" if bits == 8 else "<i2")
    assert values.tolist() == pytest.approx(expected, abs=1)


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, RATE, 2), RATE)
    output = tmp_path / "out"
    output.mkdir()
    report = process(source, (Waveform(formats=("json", "json")),), output)
    assert [artifact.name for artifact in report.artifacts] == ["waveform.json"]
    assert [path.name for path in output.iterdir()] == ["waveform.json"]


HAND_MADE = [(0, 300), (256, -300), (-32768, 32767), (1, 2), (-1, -2)]
"""Frames of two channels."""


def hand_made(path: Path, rate: int = 8_000) -> Path:
    """A WAV of those frames."""
    data = struct.pack("<10h", *(sample for frame in HAND_MADE for sample in frame))
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 56, b"WAVE", b"fmt ", 16, 1, 2, rate, 4 * rate, 4, 16, b"data", 20
    )
    path.write_bytes(header + data)
    return path


@pytest.mark.parametrize(
    ("asked", "header", "values"),
    [
        # Means, cut off: 150, -22 | 0, 1 | -1; by the data format document, version 1 has 20 bytes of header.
        ({"version": 1, "bits": 16}, struct.pack("<iIiiI", 1, 0, 8_000, 2, 3), (-22, 150, 0, 1, -1, -1)),
        ({"bits": 16}, struct.pack("<iIiiIi", 2, 0, 8_000, 2, 3, 1), (-22, 150, 0, 1, -1, -1)),
        # Minimum and maximum of the first channel, then of the second, pixel by pixel.
        (
            {"bits": 16, "split_channels": True},
            struct.pack("<iIiiIi", 2, 0, 8_000, 2, 3, 2),
            (0, 256, -300, 300, -32768, 1, 2, 32767, -1, -1, -2, -2),
        ),
        (
            {"bits": 8, "split_channels": True},
            struct.pack("<iIiiIi", 2, 1, 8_000, 2, 3, 2),
            (0, 1, -1, 1, -128, 0, 0, 127, 0, 0, 0, 0),
        ),
        # 8000 / 3001 is 2.67, and its fraction is cut off.
        (
            {"bits": 16, "samples_per_pixel": None, "pixels_per_second": 3001},
            struct.pack("<iIiiIi", 2, 0, 8_000, 2, 3, 1),
            (-22, 150, 0, 1, -1, -1),
        ),
    ],
)
def test_bytes_worked_out_by_hand(tmp_path: Path, asked: dict[str, object], header: bytes, values: tuple[int]) -> None:
    operation = Waveform.model_validate({"samples_per_pixel": 2, "formats": ["dat", "json"], **asked})
    process(hand_made(tmp_path / "a.wav"), (operation,), tmp_path)
    form = "b" if operation.bits == 8 else "h"
    assert (tmp_path / "waveform.dat").read_bytes() == header + struct.pack(f"<{len(values)}{form}", *values)
    written = json.loads((tmp_path / "waveform.json").read_text())
    assert written["data"] == list(values)
    assert written.get("channels") == {1: None, 2: 2 if operation.split_channels else 1}[operation.version]


def test_more_pixels_a_second_than_pairs_of_samples(tmp_path: Path) -> None:
    result = process(hand_made(tmp_path / "a.wav", 2_000), (Waveform(pixels_per_second=4000),), tmp_path).results
    assert result["waveform"].model_dump()["samples_per_pixel"] == 2


def pixels(path: Path, width: int, height: int) -> np.ndarray:
    """A PNG as FFmpeg decodes it, shape (height, width, 4)."""
    raw = ffmpeg("-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-").stdout
    return np.frombuffer(raw, np.uint8).reshape(height, width, 4)


COLORS = {"wave_color": "#ff0000", "background_color": "#0000ff80"}


def test_picture_has_its_colors_and_its_shape(tmp_path: Path) -> None:
    # Three thirds: half of full scale, nothing, and only above the middle.
    signal = silence(3, RATE, 1)
    signal[0, :RATE] = 0.5 * np.sign(np.sin(np.arange(RATE)))
    signal[0, 2 * RATE :: 2] = 1.0
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_f32le")
    operation = Waveform(formats=("png", "svg"), picture={"width": 300, "height": 101, **COLORS})
    report = process(source, (operation,), tmp_path)
    assert [(each.name, each.media_type) for each in report.artifacts] == [
        ("waveform.png", "image/png"),
        ("waveform.svg", "image/svg+xml"),
    ]
    picture = pixels(tmp_path / "waveform.png", 300, 101)
    wave = (picture == (255, 0, 0, 255)).all(axis=2)
    assert ((picture == (0, 0, 255, 128)).all(axis=2) | wave).all()
    for column, first, last in ((50, 25, 75), (150, 50, 50), (250, 0, 50)):
        assert np.flatnonzero(wave[:, column]).tolist() == list(range(first, last + 1))
    # The same in the SVG: columns of one pixel, from the least line to one below the greatest.
    root = ET.parse(tmp_path / "waveform.svg").getroot()
    assert (root.get("width"), root.get("height")) == ("300", "101")
    rectangle, path = root
    assert (rectangle.get("fill"), rectangle.get("fill-opacity")) == ("#0000ff", "0.502")
    points = [tuple(map(float, point.split())) for point in str(path.get("d"))[1:-1].split("L")]
    assert len(points) == 600
    for column, first, last in ((50, 25, 75), (150, 50, 50), (250, 0, 50)):
        assert points[column] == (column + 0.5, first)
        assert points[599 - column] == (column + 0.5, last + 1)


def test_picture_of_split_channels_and_of_a_quiet_recording(tmp_path: Path) -> None:
    signal = np.stack((np.full(RATE, 0.1), np.full(RATE, -0.2)))
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_f32le")
    picture = {"width": 20, "height": 202, "fit_to_peak": True, **COLORS}
    process(source, (Waveform(formats=("png",), split_channels=True, picture=picture),), tmp_path)
    wave = (pixels(tmp_path / "waveform.png", 20, 202) == (255, 0, 0, 255)).all(axis=2)
    # Each has 101 lines: half of the way up in the upper, all of the way down in the lower.
    assert np.flatnonzero(wave.all(axis=1)).tolist() == np.flatnonzero(wave.any(axis=1)).tolist() == [25, 201]


@pytest.mark.parametrize("frames", [1, 7, 299, 300, 301, 100_000])
def test_no_sample_is_missing_from_a_picture(frames: int) -> None:
    random = np.random.default_rng(frames)
    samples = random.uniform(-1, 1, (2, frames)).astype(np.float32)
    outline, start = Outline(300, 2, split_channels=True), 0
    while start < frames:
        length = int(random.integers(1, 9_000))
        outline.add(samples[:, start : start + length])
        start += length
    outline.finish()
    least, greatest = outline.extremes()
    assert least.shape == (2, 300)
    assert least.min(axis=1) == pytest.approx(samples.min(axis=1))
    assert greatest.max(axis=1) == pytest.approx(samples.max(axis=1))
    for pixel in range(300):
        part = samples[:, pixel * frames // 300 : max(pixel * frames // 300 + 1, (pixel + 1) * frames // 300)]
        assert (greatest[:, pixel] >= part.max(axis=1)).all()
        assert (least[:, pixel] <= part.min(axis=1)).all()
