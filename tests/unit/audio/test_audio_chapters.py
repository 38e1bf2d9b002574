"""Chapters carried over, as FFmpeg reads them back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from services.worker.audio.chapters import MOST_CARRIED
from services.worker.audio.engine import process
from shared.schema.operations import AudioFormat, operations_adapter
from tests.unit.audio.independent import chapters_of, ffmpeg, read_with_rate, with_chapters
from tests.unit.audio.signals import save, sine

CHAPTERS = [(0, 4_750, "Grüße, 世界"), (4_750, 10_001, "Two; words"), (10_001, 20_000, "Three")]
SECONDS = [(0.0, 4.75, "Grüße, 世界"), (4.75, 10.001, r"Two\; words"), (10.001, 20.0, "Three")]
HOLDING = [audio_format for audio_format in AudioFormat if audio_format != "wav"]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds."""
    return save(tmp_path_factory.mktemp("sound") / "sound.wav", sine(440, -20, 20, 16_000, 1), 16_000)


def done(source: Path, folder: Path, *operations: dict[str, Any]) -> Path:
    """The file of the first operation."""
    output = folder / "out"
    output.mkdir()
    return process(source, operations_adapter.validate_python(operations), output).artifacts[0].path


def assert_near(found: Sequence[tuple[float, float, str]], expected: Sequence[tuple[float, float, str]]) -> None:
    """The same to a millisecond, but for the last end, which formats without ends take from the audio."""
    assert [title for _, _, title in found] == [title for _, _, title in expected]
    assert [start for start, _, _ in found] == pytest.approx([start for start, _, _ in expected], abs=0.001)
    assert [end for _, end, _ in found[:-1]] == pytest.approx([end for _, end, _ in expected[:-1]], abs=0.001)
    assert found[-1][1] == pytest.approx(expected[-1][1], abs=0.05)


def assert_as_long(path: Path) -> None:
    """Not a sample more or less than there was."""
    samples, rate = read_with_rate(path)
    assert samples.shape == (1, 20 * rate), path.name


@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "a.mka", "a.opus"])
def test_chapters_are_carried_over(sound: Path, tmp_path: Path, name: str) -> None:
    if name == "a.opus":
        # FFmpeg's own comments are a second late from half a second on.
        comments = ("CHAPTER000=00:00:00.000", "CHAPTER001=00:00:04.750", "CHAPTER002=00:00:10.001")
        titles = (f"CHAPTER{number:03}NAME={title}" for number, (_, _, title) in enumerate(CHAPTERS))
        more = [part for text in (*comments, *titles) for part in ("-metadata:s:a:0", text)]
        source = with_chapters(sound, tmp_path / name, [], *more)
    else:
        source = with_chapters(sound, tmp_path / name, CHAPTERS)
    output = tmp_path / "out"
    output.mkdir()
    operations = [{"op": "transcode", "format": each, "name": each, "loudness_tags": True} for each in HOLDING]
    operations.append({"op": "normalize", "format": "mp3", "target_lufs": -30})
    report = process(source, operations_adapter.validate_python(operations), output)
    for artifact in report.artifacts:
        assert_near(chapters_of(artifact.path), SECONDS)
        # They take nothing from the audio, and add nothing to it.
        assert_as_long(artifact.path)


def test_edits_that_move_nothing_leave_chapters_where_they_are(sound: Path, tmp_path: Path) -> None:
    source = with_chapters(sound, tmp_path / "a.m4a", CHAPTERS)
    edits = [{"edit": "high_pass"}, {"edit": "denoise"}, {"edit": "fade", "out_seconds": 1}]
    assert_near(chapters_of(done(source, tmp_path, {"op": "transcode", "format": "mp3", "edits": edits})), SECONDS)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "transcode", "format": "mp3", "edits": [{"edit": "fade", "in_seconds": 1}, {"edit": "trim_silence"}]},
        {"op": "transcode", "format": "mp3", "keep_chapters": False},
        {"op": "split", "format": "mp3", "every_seconds": 12},
        {"op": "transcode", "format": "wav"},
    ],
)
def test_where_they_would_be_wrong_or_are_not_wanted_there_are_none(
    sound: Path, tmp_path: Path, operation: dict[str, Any]
) -> None:
    source = with_chapters(sound, tmp_path / "a.m4a", CHAPTERS)
    assert chapters_of(done(source, tmp_path, operation)) == []


def test_chapters_of_a_film_whose_sound_begins_later(sound: Path, tmp_path: Path) -> None:
    late = tmp_path / "late.mkv"
    film = ("-f", "lavfi", "-i", "testsrc=d=22:s=64x64:r=5", "-itsoffset", "1.5", "-i", sound)
    ffmpeg(*film, "-map", "0", "-map", "1", "-c:a", "flac", late)
    chapters = [(0, 1_000, "Silent"), (500, 1_600, "Over"), (1_000, 5_000, "First"), (5_000, 21_500, "Second")]
    source = with_chapters(late, tmp_path / "a.mkv", chapters, "-c", "copy")
    written = done(source, tmp_path, {"op": "transcode", "format": "opus"})
    assert_near(chapters_of(written), [(0.0, 3.5, "First"), (3.5, 20.0, "Second")])


@pytest.mark.parametrize("audio_format", HOLDING)
def test_no_more_than_every_format_holds(sound: Path, tmp_path: Path, audio_format: str) -> None:
    chapters = [(number * 50, number * 50 + 50, f"{number}" + "ü" * 200) for number in range(400)]
    source = with_chapters(sound, tmp_path / "a.mka", chapters)
    found = chapters_of(done(source, tmp_path, {"op": "transcode", "format": audio_format}))
    assert len(found) == MOST_CARRIED
    assert found[-1][0] == pytest.approx(0.05 * (MOST_CARRIED - 1), abs=0.001)
    longest = {"mp3": 125, "aac": 255, "alac": 255}.get(audio_format, 1000)
    assert [title for _, _, title in found] == [
        title.encode()[:longest].decode(errors="ignore") for _, _, title in chapters[:MOST_CARRIED]
    ]


@pytest.mark.parametrize("audio_format", HOLDING)
def test_chapters_that_make_no_sense(sound: Path, tmp_path: Path, audio_format: str) -> None:
    chapters = [
        (2_600, 9_500, "into the next"),
        (2_600, 3_000, "twice"),
        (4_000, 4_000, "nothing"),
        (9_000, 12_000, ""),
        (12_000, 90_000_000, "too long"),
        (50_000, 60_000, "behind the end"),
    ]
    source = with_chapters(sound, tmp_path / "a.mka", chapters)
    written = done(source, tmp_path, {"op": "transcode", "format": audio_format})
    expected = [(2.6, 9.0, "into the next"), (9.0, 12.0, ""), (12.0, 20.0, "too long")]
    if audio_format in {"aac", "alac"}:
        expected.insert(0, (0.0, 2.6, ""))
    elif audio_format == "mp3":
        # What FFmpeg reads where there is no title.
        expected[1] = (9.0, 12.0, "ch1")
    assert_near(chapters_of(written), expected)
    assert_as_long(written)
