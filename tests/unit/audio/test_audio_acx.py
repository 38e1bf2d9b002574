"""The rules of ACX: figures by NumPy and sox, verdicts at their limits."""

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.audio.engine import process
from shared.schema.operations import operations_adapter
from shared.schema.results import AcxResult, AcxRule
from tests.unit.audio.independent import read
from tests.unit.audio.signals import Signal, recording, save, sine, voice_like

RATE = 44_100


def acx(source: Path, folder: Path, **parameters: Any) -> tuple[bool, dict[str, AcxRule]]:
    result = process(source, operations_adapter.validate_python([{"op": "acx", **parameters}]), folder).results["acx"]
    assert isinstance(result, AcxResult)
    assert result.passed == all(rule.passed for rule in result.rules)
    return result.passed, {rule.rule: rule for rule in result.rules}


def chapter(floor_dbfs: float = -65, channels: int = 1) -> Signal:
    """Sines of -20 dBFS RMS between pauses of 1 s, over noise: what of a chapter can be worked out."""
    sound = sine(300, -17, 4, RATE, channels)
    pause = np.zeros((channels, RATE))
    signal: Signal = np.concatenate((pause, sound, pause, sound, pause), axis=1)
    return signal + 10 ** (floor_dbfs / 20) * np.random.default_rng(2).normal(size=signal.shape)


def test_the_figures_are_those_of_numpy_and_sox(tmp_path: Path) -> None:
    signal = np.vstack((chapter(-65), 0.5 * chapter(-70)))
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_s24le")
    _, rules = acx(source, tmp_path)
    said = subprocess.run(["sox", source, "-n", "stats"], capture_output=True, text=True, check=True, timeout=60).stderr
    overall = {name: float(re.findall(rf"{name} +(-?[\d.]+)", said)[0]) for name in ("Pk lev dB", "RMS lev dB")}
    assert rules["rms"].value == pytest.approx(overall["RMS lev dB"], abs=0.011)
    assert rules["peak"].value == pytest.approx(overall["Pk lev dB"], abs=0.011)
    power = np.square(read(source), dtype=np.float64).mean(axis=0)
    steps = power[: len(power) // 441 * 441].reshape(-1, 441).mean(axis=1)
    floor = 10 * np.log10(np.convolve(steps, np.ones(50) / 50, "valid").min())
    assert rules["noise_floor"].value == pytest.approx(floor, abs=0.01)
    assert rules["length"].value == 11


@pytest.mark.parametrize(
    ("gain_db", "floor_dbfs", "failing"),
    [
        # 8 of 11 s are sound of -20 dBFS: -21.4 dBFS in all.
        (0, -65, set()),
        (-1.4, -65, set()),
        (-1.8, -65, {"rms"}),
        (3.2, -65, set()),
        (3.6, -65, {"rms"}),
        (14.2, -80, {"peak", "rms"}),
        (0, -60.5, set()),
        (0, -59, {"noise_floor"}),
    ],
)
def test_verdicts(tmp_path: Path, gain_db: float, floor_dbfs: float, failing: set[str]) -> None:
    signal = 10 ** (gain_db / 20) * chapter(floor_dbfs - gain_db)
    source = save(tmp_path / "a.wav", np.clip(signal, -1, 1), RATE, "pcm_s24le")
    _, rules = acx(source, tmp_path)
    assert {name for name, rule in rules.items() if not rule.passed} - {"constant_mp3_bitrate"} == failing


def test_the_file_itself(tmp_path: Path) -> None:
    def failing(name: str, signal: Signal, rate: int, *how: str) -> set[str]:
        _, rules = acx(save(tmp_path / name, signal, rate, *how), tmp_path)
        return {rule for rule, of in rules.items() if not of.passed}

    assert not failing("good.mp3", chapter(), RATE, "libmp3lame", "-b:a", "192k")
    assert failing("low.mp3", chapter(), RATE, "libmp3lame", "-b:a", "128k") == {"constant_mp3_bitrate"}
    assert failing("variable.mp3", chapter(), RATE, "libmp3lame", "-q:a", "0") == {"constant_mp3_bitrate"}
    assert failing("a.m4a", chapter(), RATE, "aac", "-b:a", "192k") == {"constant_mp3_bitrate"}
    assert failing("48.mp3", chapter(), RATE, "libmp3lame", "-b:a", "192k", "-ar", "48000") == {"sample_rate"}
    surround = {"channels", "constant_mp3_bitrate"}
    assert failing("surround.wav", chapter(channels=6), RATE, "pcm_s24le") == surround


def test_digital_silence_has_no_level(tmp_path: Path) -> None:
    _, rules = acx(save(tmp_path / "a.wav", np.zeros((1, RATE)), RATE), tmp_path)
    assert [(rules[name].value, rules[name].passed) for name in ("rms", "peak", "noise_floor")] == [
        (None, False),
        (None, True),
        (None, True),
    ]


def test_edited_audio_is_no_file_yet(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", chapter(), RATE)
    passed, rules = acx(source, tmp_path, edits=[{"edit": "trim", "start_seconds": 1, "end_seconds": 5}])
    assert set(rules) == {"rms", "peak", "noise_floor", "length"}
    assert rules["rms"].value == pytest.approx(-20.01, abs=0.02)
    # Without a pause, there is nothing but sound.
    assert not passed
    assert rules["noise_floor"].value == pytest.approx(-20.01, abs=0.05)


def test_less_than_half_a_second(tmp_path: Path) -> None:
    _, rules = acx(save(tmp_path / "a.wav", voice_like(0.2, RATE, 1), RATE), tmp_path)
    assert rules["noise_floor"].value == rules["rms"].value


def test_the_check_of_a_master_is_of_the_finished_file(tmp_path: Path) -> None:
    operation = {"op": "normalize", "target_lufs": -20, "format": "mp3", "bitrate_kbps": 192, "check": "acx"}
    operations = operations_adapter.validate_python([{**operation, "sample_rate": RATE, "true_peak_dbtp": -3.5}])
    result = process(recording(), operations, tmp_path).results["normalize"].model_dump()
    rules = {rule["rule"]: rule for rule in result["acx"]["rules"]}
    decoded = read(tmp_path / "normalize.mp3").astype(np.float64)
    assert rules["rms"]["value"] == pytest.approx(10 * np.log10(np.mean(decoded**2)), abs=0.02)
    assert rules["peak"]["value"] == pytest.approx(20 * np.log10(np.abs(decoded).max()), abs=0.02)
    assert rules["constant_mp3_bitrate"]["value"] == 192
    # The recording's own noise is at -60 dBFS, and the gain lifts it: the report is what says so.
    assert {name for name, rule in rules.items() if not rule["passed"]} == {"noise_floor"}
    assert not result["acx"]["passed"]
