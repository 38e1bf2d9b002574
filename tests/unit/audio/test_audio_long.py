"""Long files: an hour through everything, and the memory that it takes."""

import wave
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from shared.schema.operations import Loudness, Normalize, Probe, Silence, Spectrogram, Transcode, Waveform
from shared.schema.results import LoudnessResult
from tests.peak_memory import EVERYTHING, peak_mib
from tests.unit.audio.independent import ffmpeg, measure
from tests.unit.audio.signals import save, voice_like

RATE = 16_000


def test_an_hour(tmp_path: Path) -> None:
    signal = voice_like(60, RATE, 1)
    minute = np.rint(signal[0] * 32767).astype("<i2").tobytes()
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        for _ in range(60):
            file.writeframes(minute)
    operations = (
        Probe(),
        Loudness(),
        Waveform(formats=("dat", "json")),
        Spectrogram(),
        Silence(),
        Transcode(format="flac"),
        Normalize(format="wav", target_lufs=-30),
    )
    report = process(tmp_path / "a.wav", operations, tmp_path)
    assert report.audio_seconds == 3600
    assert (tmp_path / "waveform.dat").stat().st_size == 24 + 2 * 3600 * RATE // 256
    loudness = report.results["loudness"]
    assert isinstance(loudness, LoudnessResult)
    # Sixty times the same minute is as loud as one of them.
    one = save(tmp_path / "one.wav", signal, RATE)
    assert loudness.integrated_lufs == pytest.approx(measure(one).integrated_lufs, abs=0.1)
    assert not list(tmp_path.glob(".scratch*"))


def test_memory_does_not_grow_with_length(tmp_path: Path) -> None:
    # The slow encoders hold no more than the quick ones do. `make bench-audio` has ten hours, and all of them.
    operations = [operation for operation in EVERYTHING if getattr(operation, "format", None) not in {"opus", "aac"}]

    def peak(seconds: int) -> float:
        source = tmp_path / f"{seconds}.flac"
        ffmpeg("-f", "lavfi", "-i", f"sine=f=330:b=3:r=8000:d={seconds},volume=0.2", "-c:a", "flac", source)
        return peak_mib(source, operations)

    assert peak(1_200) < 1.2 * peak(60)
