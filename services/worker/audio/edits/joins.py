"""One sound behind another."""

from collections.abc import Iterator

from services.worker.audio.edits.fades import crossfade
from services.worker.audio.edits.hold import Hold
from services.worker.audio.pcm import Samples


def join(
    first: Iterator[Samples], second: Iterator[Samples], overlap: int, tail: Hold, head: Hold
) -> Iterator[Samples]:
    """The second behind the first, the last frames of the one fading into the first of the other.

    The second is not begun before the first has ended. The cross-fade is of `overlap` frames, or of all of the shorter
    one where that has fewer. What waits of either is in `tail` and `head`, which are empty at first.
    """
    for samples in first:
        tail.put(samples)
        yield from tail.take(tail.frames - overlap)
    while head.frames < overlap and (samples_behind := next(second, None)) is not None:
        head.put(samples_behind)
    length, position = min(tail.frames, head.frames, overlap), 0
    yield from tail.take(tail.frames - length)
    for outgoing in tail.take(length):
        frames = outgoing.shape[1]
        yield crossfade(outgoing, head.take_whole(frames), position, length)
        position += frames
    yield from head.take(head.frames)
    yield from second
