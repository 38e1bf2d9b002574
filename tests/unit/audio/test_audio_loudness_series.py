"""Loudness over time and gains for players, against FFmpeg's ebur128 and arithmetic."""

import csv
import json
import re
from pathlib import Path

import pytest

from services.worker.audio.engine import process
from services.worker.audio.loudness import Measurement, gains
from shared.schema.operations import Loudness
from shared.schema.results import LoudnessResult
from tests.unit.audio import independent
from tests.unit.audio.signals import recording, save, silence, sine


def judge(source: Path) -> dict[float, tuple[float, float]]:
    """Momentary and short-term loudness by the second, as FFmpeg's ebur128 logs them every 100 ms."""
    log = independent.ffmpeg("-v", "info", "-i", source, "-af", "ebur128=framelog=info", "-f", "null", "-").stderr
    found = re.findall(r"t: *([\d.]+) +TARGET.*?M: *(-?[\d.]+|-inf|nan) S: *(-?[\d.]+|-inf|nan)", log.decode())
    return {round(float(time), 1): (float(momentary), float(short)) for time, momentary, short in found}


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (44_100, 2), (8_000, 6), (192_000, 2)])
def test_series_is_that_of_ffmpeg(tmp_path: Path, rate: int, channels: int) -> None:
    source = tmp_path / "a.wav"
    cut = ("-t", "12", "-ar", str(rate), "-ac", str(channels), "-c:a", "pcm_s24le")
    independent.ffmpeg("-i", recording(), *cut, source)
    result = process(source, (Loudness(series=("csv", "json")),), tmp_path).results["loudness"]
    assert isinstance(result, LoudnessResult)
    assert result.artifacts == ("loudness.csv", "loudness.json")
    with (tmp_path / "loudness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == pytest.approx([0.4 + step / 10 for step in range(117)])
    expected, compared = judge(source), 0
    for row in rows:
        momentary, short_term = expected[round(float(row["seconds"]), 1)]
        if momentary > -70:
            assert float(row["momentary_lufs"]) == pytest.approx(momentary, abs=0.1)
            compared += 1
        if float(row["seconds"]) < 2.95:
            assert row["short_term_lufs"] == ""
        elif short_term > -70:
            assert float(row["short_term_lufs"]) == pytest.approx(short_term, abs=0.1)
    assert compared > 80
    # The JSON has the same.
    values = json.loads((tmp_path / "loudness.json").read_text())
    assert values["interval_seconds"] == 0.1
    for row, value in zip(rows, values["values"], strict=True):
        assert {name: "" if each is None else float(each) for name, each in value.items()} == {
            name: "" if text == "" else float(text) for name, text in row.items()
        }


def test_series_at_a_rate_that_has_no_tenth_of_a_second(tmp_path: Path) -> None:
    # A step of 100 ms is 1,100 of its samples: 99.773 ms. Each value says when it was.
    source = save(tmp_path / "a.wav", sine(1_000, -20, 60, 11_025, 1), 11_025)
    process(source, (Loudness(series=("json",)),), tmp_path)
    series = json.loads((tmp_path / "loudness.json").read_text())
    assert series["interval_seconds"] == pytest.approx(1_100 / 11_025)
    assert 59.8 < series["values"][-1]["seconds"] <= 60
    assert len(series["values"]) == int(60 * 11_025 / 1_100) - 3


@pytest.mark.parametrize("seconds", [0.1, 0.39, 5.0])
def test_series_of_silence_and_of_too_little(tmp_path: Path, seconds: float) -> None:
    process(save(tmp_path / "a.wav", silence(seconds)), (Loudness(series=("json", "csv")),), tmp_path)
    values = json.loads((tmp_path / "loudness.json").read_text())["values"]
    assert len(values) == (47 if seconds == 5 else 0)
    assert not [value for value in values if value["momentary_lufs"] is not None]
    assert len((tmp_path / "loudness.csv").read_text().splitlines()) == 1 + len(values)


def test_gains_in_the_result(tmp_path: Path) -> None:
    # A stereo sine of -20 dBFS peak is at -20 LUFS by definition (Tech 3341, 2.9).
    source = save(tmp_path / "a.wav", sine(1_000, -20, 5), 48_000, "pcm_s24le")
    result = process(source, (Loudness(replay_gain=True),), tmp_path).results["loudness"]
    assert isinstance(result, LoudnessResult)
    assert result.replay_gain is not None
    assert result.replay_gain.track_gain_db == pytest.approx(2, abs=0.05)
    assert result.replay_gain.track_peak == pytest.approx(0.1, rel=0.01)
    assert result.replay_gain.r128_track_gain == pytest.approx(-3 * 256, abs=13)


@pytest.mark.parametrize(
    ("lufs", "expected"),
    [(-18.0, (0.0, -1280)), (-23.0, (5.0, 0)), (-70.0, (52.0, 12032)), (120.0, (-138.0, -32768)), (None, (0.0, 0))],
)
def test_gains_by_arithmetic(lufs: float | None, expected: tuple[float, int]) -> None:
    track = gains(Measurement(lufs, 0.0, lufs, lufs, None if lufs is None else -6.0206, None))
    assert (track.track_gain_db, track.r128_track_gain) == expected
    assert track.track_peak == pytest.approx(0 if lufs is None else 0.5, rel=1e-4)
