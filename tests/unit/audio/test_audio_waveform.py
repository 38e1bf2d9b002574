"""Waveform data, byte for byte what audiowaveform writes by its own description, worked out sample by sample."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from shared.schema.operations import Waveform
from tests.unit.audio.signals import save, voice_like

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
        "length": length,
        "artifacts": ("waveform.dat", "waveform.json"),
    }


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, RATE, 2), RATE)
    output = tmp_path / "out"
    output.mkdir()
    report = process(source, (Waveform(formats=("json", "json")),), output)
    assert [artifact.name for artifact in report.artifacts] == ["waveform.json"]
    assert [path.name for path in output.iterdir()] == ["waveform.json"]


def test_pixels_across_blocks(tmp_path: Path) -> None:
    frames = 3 * 131_072 + 5
    signal = voice_like(frames / RATE, RATE, 2)
    source = save(tmp_path / "a.flac", signal, RATE, "flac", "-sample_fmt", "s16")
    process(source, (Waveform(samples_per_pixel=1000, bits=16),), tmp_path)
    integers = np.rint(signal * 32768).astype(int)
    mono = np.trunc(integers.sum(axis=0) / 2)
    values = np.frombuffer((tmp_path / "waveform.dat").read_bytes()[24:], "<i2").reshape(-1, 2)
    assert len(values) == -(-frames // 1000)
    for pixel in (0, 131, 262, 393, len(values) - 1):
        part = mono[pixel * 1000 : (pixel + 1) * 1000]
        # FFmpeg, which wrote the file, may round a sample the other way.
        assert values[pixel] == pytest.approx((part.min(), part.max()), abs=1)
