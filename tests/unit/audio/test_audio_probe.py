"""What the container says: covers, chapters and streams that are no audio."""

from pathlib import Path

import pytest

from services.worker.audio.engine import process
from shared.schema.operations import Probe
from shared.schema.results import MOST_CHAPTERS, ProbeResult
from tests.unit.audio.independent import ffmpeg, with_chapters
from tests.unit.audio.signals import save, sine


def probe(source: Path, *, cover_art: bool = False) -> ProbeResult:
    """The result for a file."""
    output = source.parent / "out"
    output.mkdir()
    result = process(source, (Probe(cover_art=cover_art),), output).results["probe"]
    assert isinstance(result, ProbeResult)
    return result


def chaptered(path: Path, count: int) -> Path:
    """Twenty seconds with chapters of an even length, titled by number."""
    sound = save(path.parent / "sound.wav", sine(440, -20, 20))
    length = 20_000 // count
    chapters = [(number * length, (number + 1) * length, f"Chapter {number}") for number in range(count)]
    return with_chapters(sound, path, chapters)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "a.mkv", "a.opus"])
def test_chapters(tmp_path: Path, name: str) -> None:
    chapters = probe(chaptered(tmp_path / name, 4)).chapters
    assert [chapter.title for chapter in chapters] == [f"Chapter {number}" for number in range(4)]
    for number, chapter in enumerate(chapters):
        assert chapter.start_seconds == pytest.approx(5 * number, abs=0.03)
        assert chapter.end_seconds == pytest.approx(5 * (number + 1), abs=0.03)


def test_more_chapters_than_a_result_has_room_for(tmp_path: Path) -> None:
    chapters = probe(chaptered(tmp_path / "a.mkv", 1_000)).chapters
    assert len(chapters) == MOST_CHAPTERS
    assert chapters[-1].title == f"Chapter {MOST_CHAPTERS - 1}"


def test_a_film_is_another_stream_and_no_cover(tmp_path: Path) -> None:
    sound = save(tmp_path / "sound.wav", sine(440, -20, 2))
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    film = ("-f", "lavfi", "-i", "testsrc=d=2:s=64x64", "-i", sound, "-i", tmp_path / "words.srt")
    ffmpeg(*film, "-map", "0", "-map", "1", "-map", "2", "-c:a", "aac", tmp_path / "a.mkv")
    result = probe(tmp_path / "a.mkv", cover_art=True)
    assert result.cover_art is None
    assert [(stream.index, stream.kind, stream.codec) for stream in result.other_streams] == [
        (0, "video", "h264"),
        (2, "subtitle", "ass"),
    ]
    assert (result.audio_stream, result.streams[0].codec) == (1, "aac")


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.mka"])
def test_cover_as_a_file(tmp_path: Path, name: str) -> None:
    sound = save(tmp_path / "sound.wav", sine(440, -20, 2))
    picture = tmp_path / "cover.png"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=120x90", "-frames:v", "1", picture)
    if name == "a.mka":
        ffmpeg("-i", sound, "-attach", picture, "-metadata:s:t", "mimetype=image/png", tmp_path / name)
    else:
        art = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
        ffmpeg("-i", sound, "-i", picture, *art, tmp_path / name)
    result = probe(tmp_path / name, cover_art=True)
    assert result.cover_art is not None
    assert result.cover_art.model_dump() == {
        "format": "png",
        "width": 120,
        "height": 90,
        "size_bytes": picture.stat().st_size,
        "artifact": "probe.png",
    }
    assert (tmp_path / "out" / "probe.png").read_bytes() == picture.read_bytes()
    assert result.other_streams == ()
