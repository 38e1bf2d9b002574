"""An MP4 file's index from behind the media to in front of it, so that players begin before they have all of it."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from services.worker.audio.encoders.boxes import Box, full_box, numbers, packed, places

_PIECE_BYTES = 1 << 20
# What 32 bits hold; behind it, an offset takes 64.
_LARGEST_OFFSET = 2**32 - 1


def sample_tables(movie: Box) -> list[Box]:
    """What is said of the samples of each track."""
    return [track[b"mdia"][b"minf"][b"stbl"] for track in movie.boxes if track.kind == b"trak"]


def chunk_offsets(table: Box) -> Box:
    """Where the chunks of a track begin, in 32 or 64 bits (ISO/IEC 14496-12, 8.7.5)."""
    return next(box for box in table.boxes if box.kind in {b"stco", b"co64"})


def bring_index_to_front(path: Path, change: Callable[[Box], None]) -> None:
    """Move the index of a file to right behind its first box, once it is changed.

    Args:
        path: of a file with its index at the end, as FFmpeg writes it.
        change: what is to be done with the index before.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("r+b") as file:
        found = places(file)
        front, index = found[b"ftyp"].end, found[b"moov"]
        file.seek(index.content)
        movie = Box.parse(b"moov", file.read(index.end - index.content))
        change(movie)
        _move_chunks(movie, index.start)
        _move(file, front, index.start, movie.size)
        file.seek(front)
        file.writelines(movie.parts())
        file.truncate(index.start + movie.size)


def _move_chunks(movie: Box, media_end: int) -> None:
    """All chunks begin later by the size of the index."""
    boxes = [chunk_offsets(table) for table in sample_tables(movie)]
    tracks = [array("Q", numbers(box.content[8:], 8 if box.kind == b"co64" else 4)) for box in boxes]
    most_bytes = media_end + movie.size + sum(8 * len(starts) for starts in tracks)
    width, kind = (8, b"co64") if most_bytes > _LARGEST_OFFSET else (4, b"stco")
    for box, starts in zip(boxes, tracks, strict=True):
        box.kind, box.content = kind, bytes(8 + width * len(starts))
    # Their sizes are settled, and with them by how much.
    by = movie.size
    for box, starts in zip(boxes, tracks, strict=True):
        box.content = full_box(len(starts)) + packed(*(start + by for start in starts), width=width)


def _move(file: BinaryIO, start: int, end: int, by: int) -> None:
    """Move a part of a file towards its end, over what is there."""
    while end > start:
        begin = max(start, end - _PIECE_BYTES)
        file.seek(begin)
        piece = file.read(end - begin)
        file.seek(begin + by)
        file.write(piece)
        end = begin
