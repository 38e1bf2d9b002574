"""Sounds made by arithmetic, and WAV files of them."""

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.audio.independent import ffmpeg

Signal = NDArray[np.float64]
"""Shape (channels, frames), full scale 1.0."""

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}


def sine(
    frequency: float, dbfs: float, seconds: float, rate: int = 48_000, channels: int = 2, *, phase: float = 0
) -> Signal:
    """The same sine in each channel; `dbfs` is its peak, `phase` in degrees."""
    times = np.arange(round(seconds * rate)) / rate
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * frequency * times + np.deg2rad(phase))
    return np.tile(wave, (channels, 1))


def silence(seconds: float, rate: int = 48_000, channels: int = 2) -> Signal:
    """Nothing."""
    return np.zeros((channels, round(seconds * rate)))


def voice_like(seconds: float, rate: int, channels: int, seed: int = 1) -> Signal:
    """Noise that rises and falls like syllables, different in each channel, with a peak of about -6 dBFS."""
    frames = max(1, round(seconds * rate))
    noise = np.random.default_rng(seed).normal(size=(channels, frames))
    # A running mean over 8 samples takes the top off the spectrum.
    smooth = np.cumsum(np.pad(noise, ((0, 0), (8, 0))), axis=1)
    noise = (smooth[:, 8:] - smooth[:, :-8]) / 8
    swell = 0.3 + 0.7 * np.abs(np.sin(2 * np.pi * 1.7 * np.arange(frames) / rate))
    signal: Signal = noise * swell * 0.5 / np.abs(noise * swell).max()
    return signal


def save(path: Path, signal: Signal, rate: int = 48_000, codec: str = "pcm_s16le", *more: str) -> Path:
    """Write a signal by FFmpeg, in the codec and container that are asked for."""
    raw = np.ascontiguousarray(signal.T, np.float64).tobytes()
    source = ("-f", "f64le", "-ar", str(rate), "-ch_layout", LAYOUTS[len(signal)], "-i", "pipe:0")
    ffmpeg("-v", "error", *source, "-c:a", codec, *more, path, stdin=raw)
    return path


def recording() -> Path:
    """44 s of speech by a real voice, from a package that the tests depend on. The package itself is not imported."""
    spec = importlib.util.find_spec("moonshine_voice")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "assets" / "two_cities.wav"
