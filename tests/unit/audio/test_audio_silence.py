"""Silences: placed by arithmetic, and found by FFmpeg's silencedetect at the same places."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from services.worker.audio.errors import TruncatedFile
from services.worker.audio.pcm import Pcm, Resolution
from services.worker.audio.silence import SilenceWriter
from shared.schema.operations import Silence
from shared.schema.results import MOST_SILENCES, SilenceResult
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import Signal, recording, save, silence, voice_like

RATE = 48_000


def silences(source: Path, **parameters: float) -> tuple[SilenceResult, dict[str, object]]:
    """The result, and the artifact's content."""
    output = source.parent / "out"
    output.mkdir()
    report = process(source, (Silence.model_validate(parameters),), output)
    result = report.results["silence"]
    assert isinstance(result, SilenceResult)
    assert [artifact.name for artifact in report.artifacts] == [result.artifact] == ["silence.json"]
    return result, json.loads((output / "silence.json").read_text())


def silencedetect(source: Path, threshold_dbfs: float, min_seconds: float) -> list[tuple[float, float]]:
    """What FFmpeg's filter finds, in seconds of six digits."""
    chain = f"aresample=out_sample_fmt=dbl,silencedetect=noise={threshold_dbfs}dB:d={min_seconds}"
    log = ffmpeg("-i", source, "-af", chain, "-f", "null", "-").stderr.decode()
    starts = [float(value) for value in re.findall(r"silence_start: (-?[\d.]+)", log)]
    ends = [float(value) for value in re.findall(r"silence_end: ([\d.]+)", log)]
    return list(zip(starts, ends, strict=True))


def intervals(result: SilenceResult) -> list[tuple[float, float]]:
    return [(silence.start_seconds, silence.end_seconds) for silence in result.silences]


def steps(*parts: tuple[float, float], channels: int = 2) -> Signal:
    """Constant values, each for a time in seconds: what is silent is plain to the sample."""
    return np.tile(np.concatenate([np.full(round(seconds * RATE), value) for value, seconds in parts]), (channels, 1))


def test_places_by_arithmetic(tmp_path: Path) -> None:
    signal = steps((0, 0.75), (0.1, 1), (0, 0.5), (-0.1, 1), (0, 0.49), (0.1, 0.01), (0.0005, 3), (0.1, 1), (0, 1.25))
    result, content = silences(save(tmp_path / "a.wav", signal), threshold_dbfs=-60, min_seconds=0.5)
    expected = [(0, 0.75), (1.75, 2.25), (3.75, 6.75), (7.75, 9.0)]
    assert intervals(result) == expected
    assert (result.count, result.silent_seconds) == (4, 5.5)
    assert (result.threshold_dbfs, result.min_seconds) == (-60, 0.5)
    assert content == {
        "threshold_dbfs": -60,
        "min_seconds": 0.5,
        "silences": [{"start_seconds": start, "end_seconds": end} for start, end in expected],
        "count": 4,
        "silent_seconds": 5.5,
    }


@pytest.mark.parametrize(("value", "heard"), [(0.5, True), (-0.5, True), (0.4999, False), (-0.4999, False)])
def test_what_reaches_the_threshold_is_heard(tmp_path: Path, value: float, heard: bool) -> None:
    source = save(tmp_path / "a.wav", steps((value, 1)), RATE, "pcm_f32le")
    # 6.0206 dB below full scale is half of it.
    result, _ = silences(source, threshold_dbfs=20 * np.log10(0.5))
    assert intervals(result) == ([] if heard else [(0, 1)])


@pytest.mark.parametrize(("frames", "found"), [(23_999, 0), (24_000, 1)])
@pytest.mark.parametrize("place", ["start", "middle", "end"])
def test_least_length_to_the_sample(tmp_path: Path, frames: int, found: int, place: str) -> None:
    quiet, loud = (0.0, frames / RATE), (0.2, 1.0)
    parts = {"start": (quiet, loud), "middle": (loud, quiet, loud), "end": (loud, quiet)}[place]
    assert silences(save(tmp_path / "a.wav", steps(*parts)), min_seconds=0.5)[0].count == found


def test_a_channel_that_is_heard_is_enough(tmp_path: Path) -> None:
    signal = np.concatenate((steps((0.1, 1), (0, 2), channels=1), steps((0, 1), (-0.1, 2), channels=1)))
    assert silences(save(tmp_path / "a.wav", signal))[0].count == 0
    (tmp_path / "out" / "silence.json").unlink()
    (tmp_path / "out").rmdir()
    signal[1] = 0
    assert intervals(silences(save(tmp_path / "a.wav", signal))[0]) == [(1, 3)]


def test_all_silent(tmp_path: Path) -> None:
    result, _ = silences(save(tmp_path / "a.wav", silence(7)))
    assert intervals(result) == [(0, 7)]
    assert result.silent_seconds == 7


def bursts(seconds: float) -> Signal:
    """Noise with gaps of many lengths in it."""
    signal = voice_like(seconds, RATE, 2)
    random, start = np.random.default_rng(4), 0
    while start < signal.shape[1]:
        length = int(random.integers(200, 60_000))
        signal[:, start : start + length] *= 1e-4
        start += length + int(random.integers(200, 60_000))
    return signal


@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le", "libmp3lame", "flac"])
@pytest.mark.parametrize(("threshold", "least"), [(-50, 0.1), (-35, 0.02), (-20, 0.01)])
def test_as_ffmpeg_finds_them(tmp_path: Path, codec: str, threshold: float, least: float) -> None:
    names = {"libmp3lame": "a.mp3", "flac": "a.flac"}
    source = save(tmp_path / names.get(codec, "a.wav"), bursts(15), RATE, codec)
    ours = intervals(silences(source, threshold_dbfs=threshold, min_seconds=least)[0])
    judge = silencedetect(source, threshold, least)
    assert len(judge) > 5
    # Of a lossy file two decoders differ in the last bit: a sample may stand on the other side of the threshold.
    tolerance = 3 / RATE if codec == "libmp3lame" else 2e-5
    assert np.array(ours) == pytest.approx(np.array(judge), abs=tolerance)


@pytest.mark.parametrize(("threshold", "least"), [(-45, 0.3), (-35, 0.2)])
def test_pauses_of_speech_as_ffmpeg_finds_them(tmp_path: Path, threshold: float, least: float) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(recording().read_bytes())
    ours = intervals(silences(source, threshold_dbfs=threshold, min_seconds=least)[0])
    judge = silencedetect(source, threshold, least)
    assert len(judge) > 3
    assert np.array(ours) == pytest.approx(np.array(judge), abs=5e-5)


def test_result_is_bounded_and_the_file_has_all(tmp_path: Path) -> None:
    number = MOST_SILENCES + 7
    signal = steps(*((0.0, 0.02), (0.5, 0.005)) * number, channels=1)
    result, content = silences(save(tmp_path / "a.wav", signal), min_seconds=0.02)
    assert (len(result.silences), result.count) == (MOST_SILENCES, number)
    assert result.silent_seconds == pytest.approx(0.02 * number)
    listed = content["silences"]
    assert isinstance(listed, list)
    assert len(listed) == number
    assert listed[-1] == {"start_seconds": pytest.approx(0.025 * (number - 1)), "end_seconds": pytest.approx(12.67)}


@pytest.mark.parametrize("seed", range(5))
def test_where_blocks_end_makes_no_difference(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    loud = np.repeat(random.integers(0, 2, 60), random.integers(1, 3_000, 60))
    found = []
    for size in (len(loud), 997):
        path = tmp_path / f"{size}.json"
        writer = SilenceWriter(path, Pcm(RATE, ("FC",), Resolution.FLOAT), -20, 0.02, keep=100)
        for start in range(0, len(loud), size):
            writer.add(loud[None, start : start + size].astype(np.float32))
        writer.finish()
        assert writer.count
        found.append((path.read_text(), writer.first))
    assert found[0] == found[1]


def test_silence_beside_other_operations_is_left_out_on_failure(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", bursts(20), RATE, "flac")
    source.write_bytes(source.read_bytes()[:-200_000])
    output = tmp_path / "out"
    output.mkdir()
    with pytest.raises(TruncatedFile):
        process(source, (Silence(),), output)
    assert not list(output.iterdir())
