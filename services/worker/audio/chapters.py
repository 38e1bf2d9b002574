"""Chapters: as a file has them, and those that hold for what is made from it."""

from fractions import Fraction

from services.worker.audio.source import Source
from services.worker.audio.tags import clean
from shared.schema.results import MOST_CHAPTERS, Chapter

# ID3's table of contents and M4A's list of chapters count in one byte.
MOST_CARRIED = 255
# An audio stream that begins no later than this begins with its encoder's delay, which is cut off.
_LONGEST_DELAY_SECONDS = 0.1
_MICROSECOND = Fraction(1, 1_000_000)


def all_chapters(source: Source) -> tuple[Chapter, ...]:
    """The first 500, by the container's own clock."""
    chapters = []
    for chapter in source.container.chapters()[:MOST_CHAPTERS]:
        unit = float(chapter["time_base"] or 0)
        title = chapter["metadata"].get("title")
        chapters.append(
            Chapter(
                start_seconds=round(chapter["start"] * unit, 6),
                end_seconds=round(chapter["end"] * unit, 6),
                title=None if title is None else clean(title),
            )
        )
    return tuple(chapters)


def carried_chapters(source: Source) -> tuple[Chapter, ...]:
    """The chapters of an output of all of the audio: by its own clock, one behind another, none behind its end.

    Those of a film count from the film's start, and its audio may begin later.
    """
    start, end = _audio_span(source)
    carried: list[Chapter] = []
    for chapter in sorted(all_chapters(source), key=lambda chapter: chapter.start_seconds):
        begins = max(0.0, chapter.start_seconds - start)
        ends = min(chapter.end_seconds, end) - start
        if begins >= ends:
            continue
        # Of several that begin at once, as those that began before the sound, the last holds.
        if carried and carried[-1].start_seconds == begins:
            carried.pop()
        if carried and carried[-1].end_seconds > begins:
            carried[-1] = carried[-1].model_copy(update={"end_seconds": begins})
        carried.append(Chapter(start_seconds=begins, end_seconds=ends, title=chapter.title))
    return tuple(carried[:MOST_CARRIED])


def _audio_span(source: Source) -> tuple[float, float]:
    """Where the audio begins and ends by the container's clock, s; where nothing tells its end, at its start."""
    container, stream = source.container, source.stream
    unit = stream.time_base or Fraction(0)
    start = float((stream.start_time or 0) * unit)
    end = 0.0
    if stream.duration:
        end = start + float(stream.duration * unit)
    elif container.duration:
        end = float(((container.start_time or 0) + container.duration) * _MICROSECOND)
    return (start if start > _LONGEST_DELAY_SECONDS else 0.0), end
