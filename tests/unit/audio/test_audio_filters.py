"""High-pass by the formula and by FFmpeg; denoise by what it leaves of noise, and where it leaves the sound."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.worker.audio import errors
from tests.unit.audio.editing import edited
from tests.unit.audio.independent import ffmpeg, read
from tests.unit.audio.signals import Signal, recording, voice_like

RATE = 48_000


@pytest.mark.parametrize(("hertz", "order"), [(80, 2), (80, 1), (150, 3), (40, 8), (4000, 5)])
def test_high_pass_is_a_butterworth_filter(tmp_path: Path, hertz: float, order: int) -> None:
    impulse = np.zeros((1, RATE * 2))
    impulse[0, 0] = 1
    response = edited(tmp_path, impulse, RATE, {"edit": "high_pass", "frequency_hz": hertz, "order": order})[0]
    frequencies = np.array([hertz / 2, hertz, hertz * 2, 10_000, 20_000]).round()
    gains = 20 * np.log10(np.abs(np.fft.rfft(response))[(frequencies * 2).astype(int)])
    # Of the prototype, at the frequencies that the bilinear transform takes it to.
    warped = np.tan(np.pi * hertz / RATE) / np.tan(np.pi * frequencies / RATE)
    assert gains == pytest.approx(-10 * np.log10(1 + warped ** (2 * order)), abs=0.01)
    assert gains[1] == pytest.approx(-3.01, abs=0.01)


def test_high_pass_is_that_of_ffmpeg(tmp_path: Path) -> None:
    ours = edited(tmp_path, voice_like(4, RATE, 2), RATE, {"edit": "high_pass", "frequency_hz": 80})
    theirs = "highpass=f=80:p=2:width_type=q:width=0.70710678:r=f64"
    ffmpeg("-i", tmp_path / "signal.wav", "-af", theirs, "-c:a", "pcm_f32le", tmp_path / "theirs.wav")
    assert np.abs(ours - read(tmp_path / "theirs.wav")).max() < 1e-6


def test_high_pass_beyond_the_sample_rate_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.SampleRateTooLow, match="below half"):
        edited(tmp_path, voice_like(1, 4000, 1), 4000, {"edit": "high_pass", "frequency_hz": 2000})


def noise_floor(samples: NDArray[np.floating], seconds: float = 0.5) -> float:
    """RMS of the quietest stretch, dBFS."""
    sums = np.cumsum(np.pad(np.square(samples, dtype=np.float64).mean(axis=0), (1, 0)))
    window = round(seconds * RATE)
    return float(10 * np.log10((sums[window:] - sums[:-window]).min() / window))


def noisy_speech(dbfs: float) -> tuple[Signal, Signal]:
    speech = read(recording())[:, : 15 * RATE].astype(np.float64)
    return speech, speech + 10 ** (dbfs / 20) * np.random.default_rng(4).normal(size=speech.shape)


@pytest.mark.parametrize(("parameters", "dbfs"), [({}, -55), ({"noise_floor_dbfs": -50}, -50)])
def test_denoise_takes_noise_away_and_leaves_speech_where_it_was(
    tmp_path: Path, parameters: dict[str, float], dbfs: float
) -> None:
    speech, noisy = noisy_speech(dbfs)
    clean = edited(tmp_path, noisy, RATE, {"edit": "denoise", "reduction_db": 12, **parameters})
    assert clean.shape == noisy.shape
    assert noise_floor(clean) < noise_floor(noisy) - 5
    # What differs from the speech is less than the noise was: it would be far more with a single sample of delay.
    noise, left = (np.sqrt(np.mean((signal - speech) ** 2)) for signal in (noisy, clean))
    assert 20 * np.log10(left / noise) < -3


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11_025, 2), (44_100, 6), (96_000, 8)])
def test_denoise_moves_no_sample(tmp_path: Path, rate: int, channels: int) -> None:
    clicks = 1e-4 * np.random.default_rng(1).normal(size=(channels, rate + 137))
    positions = rate // 7 * (1 + np.arange(channels) % 6)
    clicks[np.arange(channels), positions] = 0.5
    clean = edited(tmp_path, clicks, rate, {"edit": "denoise"})
    assert clean.shape == clicks.shape
    assert np.array_equal(np.abs(clean).argmax(axis=1), positions)


def test_denoise_of_less_than_a_window(tmp_path: Path) -> None:
    assert edited(tmp_path, voice_like(0.005, RATE, 1), RATE, {"edit": "denoise"}).shape == (1, 240)


def test_denoise_of_what_is_hardly_audio_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.SampleRateTooLow, match="leave denoise out"):
        edited(tmp_path, voice_like(1, 60, 1), 60, {"edit": "denoise"})
