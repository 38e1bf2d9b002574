"""EBU Tech 3341 (version 4), table 1: the minimum requirements test signals, made as the table defines them.

Cases 7 and 8 are recordings that the EBU does not let be passed on, 20 to 23 are defined by files too.
Loudness is to be within 0.1 LU, true peak within +0.2 and -0.4 dB.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from services.worker.audio.loudness import LoudnessMeter
from services.worker.audio.pcm import Pcm, Resolution
from shared.schema.operations import Loudness
from shared.schema.results import LoudnessResult
from tests.unit.audio.signals import Signal, save, silence, sine

RATE = 48_000
LU = 0.1
_PIECE_FRAMES = 18_724


def measured(tmp_path: Path, signal: Signal) -> LoudnessResult:
    """Through the whole engine, from a 24-bit file."""
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_s24le")
    result = process(source, (Loudness(),), tmp_path).results["loudness"]
    assert isinstance(result, LoudnessResult)
    return result


def steady(tmp_path: Path, signal: Signal, window: str, seconds: float) -> list[float]:
    """What a meter shows of a signal every 100 ms from `seconds` on: `momentary_lufs` or `short_term_lufs`."""
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_s24le")
    process(source, (Loudness(series=("json",)),), tmp_path)
    rows = json.loads((tmp_path / "loudness.json").read_text())["values"]
    return [row[window] for row in rows if row["seconds"] >= seconds]


def tones(*parts: tuple[float, float]) -> Signal:
    """1 kHz in both channels, at levels (dBFS) for times (s), one after another and continuous in phase."""
    seconds = sum(part[1] for part in parts)
    envelope = np.concatenate([np.full(round(part[1] * RATE), 10 ** (part[0] / 20)) for part in parts])
    signal: Signal = sine(1000, 0, seconds, RATE) * envelope
    return signal


CASES = {
    1: (tones((-23, 20)), -23.0),
    2: (tones((-33, 20)), -33.0),
    3: (tones((-36, 10), (-23, 60), (-36, 10)), -23.0),
    4: (tones((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
    5: (tones((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
}


@pytest.mark.parametrize("case", CASES)
def test_integrated_loudness(tmp_path: Path, case: int) -> None:
    signal, expected = CASES[case]
    result = measured(tmp_path, signal)
    assert result.integrated_lufs == pytest.approx(expected, abs=LU)
    if case <= 2:
        assert result.momentary_max_lufs == pytest.approx(expected, abs=LU)
        assert result.short_term_max_lufs == pytest.approx(expected, abs=LU)
        assert steady(tmp_path, signal, "momentary_lufs", 1) == pytest.approx([expected] * 191, abs=LU)
        assert steady(tmp_path, signal, "short_term_lufs", 3) == pytest.approx([expected] * 171, abs=LU)


def test_case_6_five_channels(tmp_path: Path) -> None:
    levels = (-28, -28, -24, -30, -30)  # left, right, centre and the two surrounds
    signal = np.concatenate([sine(1000, level, 20, RATE, 1) for level in levels])
    assert measured(tmp_path, signal).integrated_lufs == pytest.approx(-23.0, abs=LU)
    # The same with a loud LFE, which does not count.
    with_lfe = np.insert(signal, 3, sine(50, -6, 20, RATE, 1)[0], axis=0)
    assert measured(tmp_path, with_lfe).integrated_lufs == pytest.approx(-23.0, abs=LU)


class LiveMeter:
    """A meter that is read while it runs."""

    def __init__(self) -> None:
        self._meter = LoudnessMeter(Pcm(RATE, ("FL", "FR"), Resolution.FLOAT))

    def feed(self, signal: Signal) -> tuple[float | None, float | None]:
        """Momentary and short-term maximum up to now."""
        for start in range(0, signal.shape[1], _PIECE_FRAMES):
            self._meter.add(signal[:, start : start + _PIECE_FRAMES].astype(np.float32))
        now = self._meter.measurement()
        return now.momentary_max_lufs, now.short_term_max_lufs


def test_case_9_short_term(tmp_path: Path) -> None:
    # Constant after 3 s.
    shown = steady(tmp_path, tones(*((-20, 1.34), (-30, 1.66)) * 5), "short_term_lufs", 3)
    assert shown == pytest.approx([-23.0] * 121, abs=LU)


@pytest.mark.parametrize("number", range(20))
def test_case_10_short_term_maximum_of_a_file(number: int) -> None:
    signal = np.concatenate((silence(number * 0.15), tones((-23, 3)), silence(1)), axis=1)
    assert LiveMeter().feed(signal)[1] == pytest.approx(-23.0, abs=LU)


def test_case_11_short_term_maximum_live() -> None:
    meter = LiveMeter()
    for number in range(20):
        signal = np.concatenate((silence(number * 0.15), tones((-38 + number, 3)), silence(3 - number * 0.15)), axis=1)
        assert meter.feed(signal)[1] == pytest.approx(-38 + number, abs=LU)


def test_case_12_momentary(tmp_path: Path) -> None:
    # Constant after 1 s.
    shown = steady(tmp_path, tones(*((-20, 0.18), (-30, 0.22)) * 25), "momentary_lufs", 1)
    assert shown == pytest.approx([-23.0] * 91, abs=LU)


@pytest.mark.parametrize("number", range(20))
def test_case_13_momentary_maximum_of_a_file(number: int) -> None:
    signal = np.concatenate((silence(number * 0.02), tones((-23, 0.4)), silence(1)), axis=1)
    assert LiveMeter().feed(signal)[0] == pytest.approx(-23.0, abs=LU)


def test_case_14_momentary_maximum_live() -> None:
    meter = LiveMeter()
    for number in range(20):
        signal = np.concatenate((silence(number * 0.02), tones((-38 + number, 0.4)), silence(1)), axis=1)
        assert meter.feed(signal)[0] == pytest.approx(-38 + number, abs=LU)


@pytest.mark.parametrize(
    ("case", "tone", "expected"),
    # The tone: by what the sample rate is divided, phase in degrees, amplitude.
    [
        (15, (4, 0.0, 0.50), -6.0),
        (16, (4, 45.0, 0.50), -6.0),
        (17, (6, 60.0, 0.50), -6.0),
        (18, (8, 67.5, 0.50), -6.0),
        (19, (4, 45.0, 1.41), 3.0),
    ],
)
def test_true_peak(tmp_path: Path, case: int, tone: tuple[int, float, float], expected: float) -> None:
    divisor, phase, amplitude = tone
    signal = sine(RATE / divisor, 20 * np.log10(amplitude), 3, RATE, phase=phase)
    # A sine that begins at once has a true peak of its own there: it is faded in and out over 10 ms.
    signal *= np.clip(np.minimum(np.arange(3 * RATE), np.arange(3 * RATE)[::-1]) / (RATE / 100), 0, 1)
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_f32le")
    result = process(source, (Loudness(),), tmp_path).results["loudness"]
    assert isinstance(result, LoudnessResult)
    assert result.true_peak_dbtp is not None
    assert expected - 0.4 <= result.true_peak_dbtp <= expected + 0.2


def test_sine_of_the_acceptance_test(tmp_path: Path) -> None:
    assert measured(tmp_path, sine(1000, -23, 10, RATE)).integrated_lufs == pytest.approx(-23.0, abs=LU)
