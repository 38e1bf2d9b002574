"""The limiter: its ceiling by a much finer resampling, its gain by arithmetic, and masters judged by FFmpeg."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]  # it ships no types
from hypothesis import given, settings
from hypothesis import strategies as st

from services.worker.audio.engine import process
from services.worker.audio.limiter import Limiter
from services.worker.audio.pcm import Samples
from shared.schema.operations import LOSSY_FORMATS, AudioFormat, Normalize
from shared.schema.results import NormalizeResult
from tests.unit.audio import independent
from tests.unit.audio.signals import Signal, recording, save, sine, voice_like

RATE = 48_000


def limited(signal: Signal | Samples, ceiling_dbtp: float = -1.0, rate: int = RATE, size: int = 10_000) -> Samples:
    """All of a signal through a limiter, in blocks."""
    limiter = Limiter(rate, len(signal), ceiling_dbtp)
    samples = signal.astype(np.float32)
    blocks = [limiter.limit(samples[:, start : start + size]) for start in range(0, samples.shape[1], size)]
    return np.concatenate([*blocks, limiter.flush()], axis=1)


def resampled(signal: Signal | Samples, rate: int, target: int) -> Signal:
    """By soxr at its very highest quality."""
    fine: Signal = soxr.resample(signal.T.astype(np.float64), rate, target, quality="VHQ").T
    return fine


def clicks(rate: int) -> Signal:
    """Single samples and pairs, of both signs, far apart and close together."""
    signal = np.zeros((2, 2 * rate))
    random = np.random.default_rng(5)
    for place in random.integers(100, 2 * rate - 100, 60):
        signal[int(random.integers(2)), place : place + int(random.integers(1, 3))] = random.choice([-3, 3])
    return signal


def noise(rate: int) -> Signal:
    """Noise up to four fifths of what the rate can hold."""
    white = np.random.default_rng(1).normal(size=(2, round(0.8 * rate))) * 0.7
    return resampled(white, round(0.8 * rate), rate)


LOUD: dict[str, Callable[[int], Signal]] = {
    "between the samples": lambda rate: sine(rate / 4, 3, 1, rate, phase=45),
    "low tone": lambda rate: sine(40, 9, 1, rate),
    "noise": noise,
    "syllables": lambda rate: voice_like(2, rate, 2) * 6,
    "clicks": clicks,
    "from silence": lambda rate: np.concatenate((np.zeros((2, rate // 2)), sine(1000, 12, 0.5, rate)), axis=1),
}


@pytest.mark.parametrize("kind", LOUD)
@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("ceiling", [-1.0, -9.0])
def test_ceiling_is_kept(kind: str, rate: int, ceiling: float) -> None:
    # Above 48 kHz as recordings are: BS.1770-4 oversamples less there, and ultrasonic peaks may hide from it.
    made_at = min(rate, 48_000)
    signal = resampled(LOUD[kind](made_at), made_at, rate)
    out = limited(signal, ceiling, rate)
    assert out.shape == signal.shape
    peak = 20 * np.log10(np.abs(resampled(out, rate, rate * 16)).max())
    # And not kept by turning all of it down.
    assert ceiling - 0.6 < peak < ceiling + 0.1


@pytest.mark.parametrize("frames", [0, 1, 17, 300, 50_000])
def test_what_is_below_the_ceiling_is_untouched(frames: int) -> None:
    signal = voice_like(frames / RATE, RATE, 2)[:, :frames] * 0.7
    assert np.array_equal(limited(signal, -1.0), signal.astype(np.float32))


def test_gain_goes_down_before_a_peak_and_up_after_it() -> None:
    # A tone far below the ceiling shows the gain; one sample of it is 12 dB above.
    # The limiter aims at 0.1 dB below its ceiling.
    signal = sine(997, -40, 2, RATE, 1)
    peak, place = 10 ** (11.9 / 20), RATE
    signal[0, place] = peak
    out = limited(signal, 0.0)
    assert abs(out[0, place]) == pytest.approx(10 ** (-0.1 / 20), abs=0.002)
    seen = np.abs(signal[0]) > 0.005
    gain = np.where(seen, 20 * np.log10(np.abs(out[0]) / np.maximum(np.abs(signal[0]), 1e-9) + 1e-12), np.nan)
    # Untouched until 5 ms before the peak, and fully down at it.
    assert np.nanmax(np.abs(gain[: place - round(0.0051 * RATE) - 1])) == pytest.approx(0, abs=1e-3)
    assert np.nanmean(gain[place - 20 : place + 20]) == pytest.approx(-12, abs=0.1)
    # 60 dB a second: half of the 12 dB are back after 100 ms, all of them after 200, and the hold of 2.5 ms.
    assert np.nanmean(gain[place + round(0.1025 * RATE) :][:100]) == pytest.approx(-6, abs=0.15)
    assert np.nanmax(np.abs(gain[place + round(0.21 * RATE) :])) == pytest.approx(0, abs=1e-3)
    # Nowhere a corner: the averaging spreads any change over 5 ms.
    change = np.abs(np.diff(gain))
    assert np.nanmax(change) < 12 / (0.0025 * RATE) * 1.05


def test_channels_keep_their_balance() -> None:
    signal = voice_like(1, RATE, 2)
    signal[0] *= 6
    out = limited(signal)
    heard = np.abs(signal).min(axis=0) > 1e-3
    gains = out[:, heard] / signal[:, heard]
    assert gains.min() < 0.6
    assert gains[0] == pytest.approx(gains[1], rel=1e-4)


@settings(deadline=None, max_examples=25)
@given(pieces=st.lists(st.integers(1, 9_000), min_size=1, max_size=8), seed=st.integers(0, 5))
def test_where_blocks_end_makes_no_difference(pieces: list[int], seed: int) -> None:
    samples = (voice_like(sum(pieces) / RATE, RATE, 2, seed) * 5).astype(np.float32)[:, : sum(pieces)]
    limiter = Limiter(RATE, 2, -1.0)
    out, start = [], 0
    for piece in pieces:
        out.append(limiter.limit(samples[:, start : start + piece]))
        start += piece
    out.append(limiter.flush())
    assert np.concatenate(out, axis=1) == pytest.approx(limited(samples, size=1 << 20), abs=1e-6)


def master(source: Path, operation: Normalize) -> tuple[NormalizeResult, independent.Loudness]:
    """The result, and what FFmpeg makes of the file."""
    output = source.parent / "out"
    output.mkdir()
    report = process(source, (operation,), output)
    result = report.results["normalize"]
    assert isinstance(result, NormalizeResult)
    return result, independent.measure(report.artifacts[0].path)


@pytest.mark.parametrize("audio_format", list(AudioFormat))
@pytest.mark.parametrize(
    ("source_format", "target", "ceiling"),
    [
        ((44_100, 2, "pcm_s16le"), -10.0, -1.0),
        ((96_000, 2, "pcm_s24le"), -10.0, -2.0),
        ((16_000, 1, "pcm_f32le"), -14.0, -1.0),
        ((48_000, 6, "pcm_s16le"), -8.0, -3.0),
    ],
)
def test_limited_master(
    tmp_path: Path, audio_format: AudioFormat, source_format: tuple[int, int, str], target: float, ceiling: float
) -> None:
    rate, channels, codec = source_format
    if audio_format == "mp3" and channels == 6:
        target -= 3  # of the stereo mix
    source = save(tmp_path / "a.wav", voice_like(4, rate, channels), rate, codec)
    operation = Normalize(format=audio_format, target_lufs=target, true_peak_dbtp=ceiling)
    result, judge = master(source, operation)
    assert result.method == "limited"
    assert not result.limited_by_peak
    assert result.largest_reduction_db > 0.5
    assert judge.integrated_lufs == pytest.approx(target, abs=0.1)
    assert result.output_lufs == pytest.approx(judge.integrated_lufs, abs=0.1)
    if audio_format not in LOSSY_FORMATS:
        assert judge.true_peak_dbtp <= ceiling + 0.1
    assert result.output_true_peak_dbtp == pytest.approx(judge.true_peak_dbtp, abs=0.15)


@pytest.mark.parametrize(("target", "ceiling"), [(-16.0, -1.0), (-18.0, -3.0)])
def test_limited_speech(tmp_path: Path, target: float, ceiling: float) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(recording().read_bytes())
    result, judge = master(source, Normalize(target_lufs=target, true_peak_dbtp=ceiling))
    assert (result.method, result.limited_by_peak) == ("limited", False)
    assert judge.integrated_lufs == pytest.approx(target, abs=0.1)
    assert ceiling - 0.3 < judge.true_peak_dbtp <= ceiling + 0.1


def test_limited_at_another_rate(tmp_path: Path) -> None:
    # The limiter comes behind the resampler, which would move peaks.
    source = save(tmp_path / "a.wav", voice_like(4, 96_000, 2), 96_000)
    result, judge = master(source, Normalize(target_lufs=-12, sample_rate=16_000, channels=1))
    assert result.method == "limited"
    assert judge.integrated_lufs == pytest.approx(-12, abs=0.1)
    assert judge.true_peak_dbtp <= -0.9


def test_gain_below_the_ceiling_is_linear(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(4, RATE, 2), RATE, "pcm_s24le")
    result, _ = master(source, Normalize(target_lufs=-25))
    assert (result.method, result.largest_reduction_db, result.limited_by_peak) == ("linear", 0, False)
    before, after = independent.read(source), independent.read(tmp_path / "out" / result.artifact)
    assert after == pytest.approx(before * 10 ** (result.gain_db / 20), rel=1e-3, abs=1e-6)


def test_target_out_of_reach(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(4, RATE, 2))
    result, judge = master(source, Normalize(target_lufs=-5, true_peak_dbtp=-15))
    assert (result.method, result.limited_by_peak) == ("limited", True)
    assert judge.true_peak_dbtp <= -14.9
    assert result.output_lufs == pytest.approx(judge.integrated_lufs, abs=0.1)
    assert result.input_lufs is not None
    assert result.gain_db <= -5 - result.input_lufs + 6.01


def test_results_of_before_the_limiter_can_be_read() -> None:
    stored = {
        "op": "normalize", "format": "flac", "sample_rate": 48000, "channels": 2, "bitrate_kbps": None,
        "duration_seconds": 4.0, "artifact": "normalize.flac", "input_lufs": -20.0, "input_true_peak_dbtp": -6.0,
        "gain_db": 4.0, "output_lufs": -16.0, "output_true_peak_dbtp": -2.0, "target_lufs": -16.0,
        "true_peak_ceiling_dbtp": -1.0, "limited_by_peak": False,
    }  # fmt: skip
    assert NormalizeResult.model_validate(stored).method == "linear"
