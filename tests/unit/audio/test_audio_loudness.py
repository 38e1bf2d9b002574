"""Loudness and true peak against FFmpeg's ebur128, the printed coefficients of BS.1770, and arithmetic."""

from pathlib import Path

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]  # it ships no types

from services.worker.audio.engine import process
from services.worker.audio.loudness.block_filter import BlockFilter
from services.worker.audio.loudness.true_peak import TruePeak, interpolator, oversampling_factor
from services.worker.audio.loudness.weighting import channel_weights, k_weighting
from shared.schema.operations import Loudness
from shared.schema.results import LoudnessResult
from tests.unit.audio import independent
from tests.unit.audio.signals import recording, save, silence, sine, voice_like


def loudness(source: Path) -> LoudnessResult:
    """The result for a file."""
    result = process(source, (Loudness(),), source.parent).results["loudness"]
    assert isinstance(result, LoudnessResult)
    return result


def test_filter_is_that_of_the_recommendation() -> None:
    # BS.1770-4, annex 1, tables 1 and 2: coefficients for 48 kHz.
    shelf = (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585)
    high_pass = (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621)
    assert k_weighting(48_000) == pytest.approx(np.array([shelf, high_pass]), abs=1e-11)


@pytest.mark.parametrize(
    ("layout", "weights"),
    [
        ("FC", (1.0,)),
        ("FL FR", (1.0, 1.0)),
        ("FL FR FC LFE BL BR", (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)),
        ("FL FR FC LFE SL SR", (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)),
        ("FL FR BL BR", (1.0, 1.0, 1.41, 1.41)),
        # BS.1770-4, table 4: surrounds at 60 to 120 degrees weigh 1.41, those further back 1.
        ("FL FR FC LFE BL BR SL SR", (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41)),
    ],
)
def test_channel_weights(layout: str, weights: tuple[float, ...]) -> None:
    assert tuple(channel_weights(layout.split())) == weights


# One voice, at a level of its own in each channel.
PLACED = {
    "mono": "anull",
    "stereo": "pan=stereo|c0=c0|c1=0.6*c0",
    "5.1": "pan=5.1|c0=c0|c1=0.6*c0|c2=0.5*c0|c3=0.3*c0|c4=-0.4*c0|c5=0.2*c0",
}


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_speech_at_every_rate_from_mono_to_5_1(tmp_path: Path, rate: int) -> None:
    for layout, placing in PLACED.items():
        source = tmp_path / f"{layout}.wav"
        how = ("-af", placing, "-ar", str(rate), "-c:a", "pcm_s24le")
        independent.ffmpeg("-i", recording(), "-t", "20", *how, source)
        ours, judge = loudness(source), independent.measure(source)
        assert ours.integrated_lufs == pytest.approx(judge.integrated_lufs, abs=0.1), layout
        assert ours.range_lu == pytest.approx(judge.range_lu, abs=0.2), layout
        assert ours.true_peak_dbtp == pytest.approx(judge.true_peak_dbtp, abs=0.1), layout


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_layouts(tmp_path: Path, channels: int) -> None:
    source = save(tmp_path / "a.wav", voice_like(8, 48_000, channels))
    ours, judge = loudness(source), independent.measure(source)
    assert ours.integrated_lufs == pytest.approx(judge.integrated_lufs, abs=0.1)
    assert ours.true_peak_dbtp == pytest.approx(judge.true_peak_dbtp, abs=0.15)


def test_silence_has_no_loudness(tmp_path: Path) -> None:
    result = loudness(save(tmp_path / "a.wav", silence(5)))
    assert result == LoudnessResult(
        integrated_lufs=None,
        range_lu=0,
        momentary_max_lufs=None,
        short_term_max_lufs=None,
        true_peak_dbtp=None,
        sample_peak_dbfs=None,
    )


def test_what_is_below_the_gate_is_silence(tmp_path: Path) -> None:
    result = loudness(save(tmp_path / "a.wav", sine(1000, -75, 5), 48_000, "pcm_s24le"))
    assert result.integrated_lufs is None
    assert result.momentary_max_lufs == pytest.approx(-75, abs=0.1)


@pytest.mark.parametrize("seconds", [0.1, 0.25, 0.4, 0.45])
def test_short_clip_is_one_block(tmp_path: Path, seconds: float) -> None:
    # The first milliseconds are the filter's own beginning, hence the tolerance.
    result = loudness(save(tmp_path / "a.wav", sine(1000, -23, seconds)))
    assert result.integrated_lufs == pytest.approx(-23, abs=0.2)


def test_sample_peak(tmp_path: Path) -> None:
    signal = silence(2)
    signal[1, 70_000] = -0.25
    assert loudness(save(tmp_path / "a.wav", signal)).sample_peak_dbfs == pytest.approx(-12.04, abs=0.005)


def plainly(sections: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Second-order sections sample by sample (transposed direct form II), in Python's floats."""
    filtered = []
    for channel in samples.astype(float).tolist():
        for b0, b1, b2, _, a1, a2 in sections.tolist():
            first = second = 0.0
            for place, value in enumerate(channel):
                channel[place] = b0 * value + first
                first = b1 * value - a1 * channel[place] + second
                second = b2 * value - a2 * channel[place]
        filtered.append(channel)
    return np.array(filtered)


@pytest.mark.parametrize("rate", [8_000, 48_000, 192_000, 384_000])
@pytest.mark.parametrize("pieces", [(20_000,), (1, 31, 32, 33, 9_000, 64, 5), (7, 11_000)])
def test_filter_is_that_of_its_sections(rate: int, pieces: tuple[int, ...]) -> None:
    # With an offset, which the high-pass takes out, and something that dies away to nothing.
    frames = sum(pieces)
    noise = np.random.default_rng(2).normal(size=(2, frames)) * np.geomspace(1, 1e-5, frames)
    samples = (0.3 * noise + np.array([[0.5], [0.0]])).astype(np.float32)
    meter, start, out = BlockFilter(k_weighting(rate), 2), 0, []
    for piece in pieces:
        out.append(meter.filter(samples[:, start : start + piece]))
        start += piece
    error = np.abs(np.concatenate(out, axis=1) - plainly(k_weighting(rate), samples))
    assert error.max() < 1e-6
    # Where there is no offset, the error is as small as what is left of the sound.
    assert error[1, -2_000:].max() < 1e-9


@pytest.mark.parametrize("rate", [60, 100, 1_000, 3_000, 3_400])
def test_rates_too_low_for_the_filters(tmp_path: Path, rate: int) -> None:
    result = loudness(save(tmp_path / "a.wav", sine(rate / 5, -20, 20, rate, 1), rate, "pcm_s24le"))
    # -20 dBFS of a sine, 3 dB less of power, and BS.1770's offset. Its high-pass, whose numerator is the same at every
    # rate, adds up to 2 dB at 1 kHz, and more where its corner nears half of the rate.
    assert result.integrated_lufs == pytest.approx(-20 - 3.01 - 0.69, abs=2.2 if rate >= 1_000 else 12)


def every_point(samples: np.ndarray, rate: int) -> float:
    """True peak with nothing left out, the plain way."""
    taps = interpolator(oversampling_factor(rate))
    peak = float(np.abs(samples).max())
    for channel in samples:
        padded = np.pad(channel, (len(taps) - 1, len(taps) // 2))
        for phase in taps.T:
            peak = max(peak, float(np.abs(np.correlate(padded, phase)).max()))
    return peak


@pytest.mark.parametrize("rate", [44_100, 96_000, 192_000])
@pytest.mark.parametrize("seed", range(5))
def test_leaving_stretches_out_changes_nothing(rate: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = 20_000
    swell = np.abs(np.interp(np.arange(frames), np.arange(0, frames, 100), random.normal(size=frames // 100)))
    samples = (random.uniform(-1, 1, (2, frames)) * swell).astype(np.float32)
    meter, start = TruePeak(rate, 2), 0
    while start < frames:
        length = int(random.integers(1, 5_000))
        meter.add(samples[:, start : start + length])
        start += length
    meter.finish()
    assert meter.true_peak == pytest.approx(every_point(samples, rate), rel=1e-6)
    assert meter.sample_peak == pytest.approx(float(np.abs(samples).max()))


def test_true_peak_is_that_of_a_much_finer_resampling() -> None:
    samples = (0.5 * voice_like(3, 48_000, 1, seed=9)).astype(np.float32)
    fine = soxr.resample(samples[0].astype(np.float64), 48_000, 48_000 * 16, quality="VHQ")
    meter = TruePeak(48_000, 1)
    meter.add(samples)
    meter.finish()
    # BS.1770-4, annex 2: 4 times oversampling may read up to 0.55 dB too little at half of the sample rate.
    assert 20 * np.log10(meter.true_peak / np.abs(fine).max()) == pytest.approx(-0.1, abs=0.15)


@pytest.mark.parametrize("position", range(470, 500))
def test_peak_between_two_stretches_is_found(position: int) -> None:
    # Whatever the stretches are, one of these lies across the end of one.
    samples = np.zeros((1, 3000), np.float32)
    samples[0, position : position + 2] = 1.0
    meter = TruePeak(48_000, 1)
    meter.add(samples)
    meter.finish()
    assert meter.true_peak > 1.2


def test_click_at_the_very_end_is_heard() -> None:
    meter = TruePeak(48_000, 1)
    meter.add(np.zeros((1, 1000), np.float32))
    meter.add(np.array([[1.0, 1.0]], np.float32))
    meter.finish()
    assert meter.true_peak > 1.2  # the sinc between two equal samples, 2 * 2 / pi in the limit
