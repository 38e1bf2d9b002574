"""Chapters into files: each format has its own place for them, and FFmpeg's muxers have their ways."""

from collections.abc import Sequence
from fractions import Fraction

from av.container import OutputContainer

from services.worker.audio.chapters import MOST_CARRIED
from shared.schema.results import Chapter

_MILLISECOND = Fraction(1, 1000)
# M4A counts them in one byte. In ID3, FFmpeg reads the size of a title and two bytes more as if it had eight bits to a
# byte, where it has seven: of a longer one it drops the chapter.
_M4A_TITLE_BYTES, _ID3_TITLE_BYTES = 255, 125


def add_m4a_chapters(container: OutputContainer, chapters: Sequence[Chapter]) -> None:
    """Set the chapters of an M4A that is about to be written.

    They are samples of a track: the first is at its start, and FFmpeg writes none for a chapter without a title.
    """
    if chapters and chapters[0].start_seconds > 0:
        nothing = Chapter(start_seconds=0.0, end_seconds=chapters[0].start_seconds, title=None)
        chapters = (nothing, *chapters)[:MOST_CARRIED]
    titled = [chapter.model_copy(update={"title": chapter.title or ""}) for chapter in chapters]
    _add(container, titled, _M4A_TITLE_BYTES)


def add_id3_chapters(container: OutputContainer, chapters: Sequence[Chapter]) -> None:
    """Set the chapters of an ID3 tag that is about to be written."""
    _add(container, chapters, _ID3_TITLE_BYTES)


def chapter_comments(chapters: Sequence[Chapter]) -> dict[str, str]:
    """Vorbis comments that stand for chapters: https://wiki.xiph.org/Chapter_Extension.

    FFmpeg's own for Ogg are a second late from half a second on, and for FLAC it has none.
    """
    comments = {}
    for number, chapter in enumerate(chapters):
        seconds, milliseconds = divmod(round(chapter.start_seconds * 1000), 1000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
        comments[f"CHAPTER{number:03}"] = clock
        if chapter.title is not None:
            comments[f"CHAPTER{number:03}NAME"] = chapter.title
    return comments


def _add(container: OutputContainer, chapters: Sequence[Chapter], title_bytes: int) -> None:
    container.set_chapters(
        [
            {
                "id": number,
                "start": round(chapter.start_seconds * 1000),
                "end": round(chapter.end_seconds * 1000),
                "time_base": _MILLISECOND,
                "metadata": {} if chapter.title is None else {"title": _cut(chapter.title, title_bytes)},
            }
            for number, chapter in enumerate(chapters)
        ]
    )


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")
