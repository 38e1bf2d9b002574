"""Parts of audio: where they are cut, that nothing is lost or heard between them, and how many there may be."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.audio import errors
from services.worker.audio.engine import Report, process
from shared.schema.operations import operations_adapter
from shared.schema.results import SplitResult
from tests.unit.audio.independent import read, read_with_rate
from tests.unit.audio.signals import Signal, save, silence, sine, voice_like

RATE = 44_100


def split(source: Path, folder: Path, **parameters: Any) -> tuple[Report, SplitResult]:
    report = process(source, operations_adapter.validate_python([{"op": "split", **parameters}]), folder)
    result = report.results["split"]
    assert isinstance(result, SplitResult)
    return report, result


def times(result: SplitResult) -> list[tuple[float, float]]:
    return [(part.start_seconds, part.end_seconds) for part in result.parts]


@pytest.mark.parametrize(
    ("parameters", "cuts"),
    [
        ({"every_seconds": 1.25}, [0, 1.25, 2.5, 3.75, 4.0]),
        # What is behind the end is cut nowhere.
        ({"at_seconds": [0.5, 0.52, 3.98, 4, 70]}, [0, 0.5, 0.52, 3.98, 4.0]),
    ],
)
def test_parts_at_times_are_the_whole(tmp_path: Path, parameters: dict[str, Any], cuts: list[float]) -> None:
    source = save(tmp_path / "a.flac", voice_like(4, RATE, 2), RATE, "flac")
    report, result = split(source, tmp_path, format="flac", **parameters)
    frames = [round(cut * RATE) for cut in cuts]
    assert times(result) == [(round(a / RATE, 6), round(b / RATE, 6)) for a, b in itertools.pairwise(frames)]
    assert [part.artifact for part in result.parts] == [f"split-{n:03}.flac" for n in range(1, len(cuts))]
    assert [artifact.name for artifact in report.artifacts] == [*(part.artifact for part in result.parts), "split.json"]
    parts = [read(tmp_path / str(part.artifact)) for part in result.parts]
    assert [part.shape[1] for part in parts] == [b - a for a, b in itertools.pairwise(frames)]
    assert np.array_equal(np.concatenate(parts, axis=1), read(source))
    assert json.loads((tmp_path / "split.json").read_text())["parts"] == [part.model_dump() for part in result.parts]


def test_cuts_are_not_heard_when_the_rate_and_layout_change(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(3, RATE, 2), RATE)
    how = {"format": "wav", "bit_depth": 32, "sample_rate": 16_000, "channels": 1}
    _, result = split(source, tmp_path, every_seconds=0.7, **how)
    process(source, operations_adapter.validate_python([{"op": "transcode", "name": "whole", **how}]), tmp_path)
    parts = [read_with_rate(tmp_path / str(part.artifact)) for part in result.parts]
    assert {rate for _, rate in parts} == {16_000}
    assert np.array_equal(np.concatenate([samples for samples, _ in parts], axis=1), read(tmp_path / "whole.wav"))


def talk() -> Signal:
    """Sound from 1 s to 3 s, from 5 s to 6 s, from 6.8 s to 8 s and from 38 s to 39 s of 45 s."""
    sounds = [sine(500, -12, seconds, RATE, 1, phase=90) for seconds in (2, 1, 1.2, 1)]
    pauses = [silence(seconds, RATE, 1) for seconds in (1, 2, 0.8, 30, 6)]
    return np.concatenate([pauses[0], *(x for pair in zip(sounds, pauses[1:], strict=True) for x in pair)], axis=1)


@pytest.mark.parametrize(
    ("at_silence", "cuts"),
    [
        # Half of 1.5 s before the sounds at 5 s and 38 s; the pause of 0.8 s is too short, those at the ends are none.
        ({"min_seconds": 1.5}, [4.25, 37.25]),
        ({"min_seconds": 0.5}, [4.75, 6.55, 37.75]),
        # At most a second before.
        ({"min_seconds": 20}, [37.0]),
        ({"min_seconds": 0.5, "min_part_seconds": 5}, [6.55, 37.75]),
        ({"min_seconds": 31}, []),
    ],
)
def test_parts_at_silences(tmp_path: Path, at_silence: dict[str, float], cuts: list[float]) -> None:
    source = save(tmp_path / "talk.flac", talk(), RATE, "flac")
    _, result = split(source, tmp_path, at_silence=at_silence, format="flac")
    edges = [0, *cuts, 45.0]
    assert times(result) == list(itertools.pairwise(edges))
    parts = [read(tmp_path / str(part.artifact)) for part in result.parts]
    assert np.array_equal(np.concatenate(parts, axis=1), read(source))


def test_chapters_without_files(tmp_path: Path) -> None:
    source = save(tmp_path / "talk.wav", talk(), RATE)
    report, result = split(source, tmp_path, at_silence={"min_seconds": 1.5}, files=False)
    assert times(result) == [(0, 4.25), (4.25, 37.25), (37.25, 45)]
    assert [artifact.name for artifact in report.artifacts] == ["split.json"]
    assert (result.format, {part.artifact for part in result.parts}) == (None, {None})


def test_edited_audio_in_parts(tmp_path: Path) -> None:
    source = save(tmp_path / "talk.wav", talk(), RATE)
    edits = [{"edit": "trim", "start_seconds": 4, "end_seconds": 8}]
    _, result = split(source, tmp_path, every_seconds=3, edits=edits, format="mp3")
    assert times(result) == [(0, 3), (3, 4)]
    assert [read(tmp_path / str(part.artifact)).shape[1] for part in result.parts] == [3 * RATE, RATE]


def test_too_many_parts_are_an_error(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(4, 8000, 1), 8000)
    output = tmp_path / "out"
    output.mkdir()
    split(source, tmp_path, every_seconds=1, max_parts=4)
    with pytest.raises(errors.TooManyParts, match="more than the 3 parts"):
        split(source, output, every_seconds=1, max_parts=3)
    assert not list(output.iterdir())


def test_of_several_times_in_one_sample_there_is_one_cut(tmp_path: Path) -> None:
    # 0.1 s is a fifth of a sample.
    source = save(tmp_path / "a.wav", voice_like(10, 2, 1), 2)
    _, result = split(source, tmp_path, every_seconds=0.1, files=False)
    assert times(result) == [(n / 2, (n + 1) / 2) for n in range(20)]
