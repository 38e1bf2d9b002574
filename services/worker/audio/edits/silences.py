"""Silence taken out, at the ends or between sounds. What is silent is as in services.worker.audio.silence."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.edits.fades import crossfade
from services.worker.audio.edits.hold import Hold
from services.worker.audio.pcm import Samples
from services.worker.audio.silence import heard


def trim_silence(
    stream: Iterator[Samples], threshold: float, padding: int, ends: Literal["both", "start", "end"], quiet: Hold
) -> Iterator[Samples]:
    """Without the silence at the start, the end or both, but for `padding` frames of it."""
    begun = ends == "end"
    for samples in stream:
        sounding = heard(samples, threshold)
        if not len(sounding):
            quiet.put(samples)
            if not begun:
                quiet.drop(quiet.frames - padding)
            elif ends == "start":
                yield from quiet.take(quiet.frames)
            continue
        if not begun:
            quiet.put(samples[:, : sounding[0]])
            quiet.drop(quiet.frames - padding)
            samples = samples[:, sounding[0] :]  # noqa: PLW2901 - the rest is treated as any other block
            sounding, begun = sounding - sounding[0], True
        yield from quiet.take(quiet.frames)
        last = samples.shape[1] if ends == "start" else sounding[-1] + 1
        yield samples[:, :last]
        quiet.put(samples[:, last:])
    if begun:
        yield from quiet.take(padding)


class SilenceRemover:
    """Silences between sounds shortened; half of what is kept is from the start of each, half from its end."""

    def __init__(self, threshold: float, longest: int, keep: int, overlap: int, quiet: Hold) -> None:
        self._threshold = threshold
        self._longest = longest
        self._halves = (keep // 2, keep - keep // 2)
        # Half of the cross-fade lies on either side of the cut.
        self._half_overlap = overlap // 2
        self._quiet = quiet

    def remove(self, stream: Iterator[Samples]) -> Iterator[Samples]:
        """The audio with every silence longer than `longest` frames made `keep` frames long, but not at its ends."""
        begun = False
        for samples in stream:
            sounding = heard(samples, self._threshold)
            if not len(sounding):
                self._quiet.put(samples)
                if not begun:
                    yield from self._quiet.take(self._quiet.frames)
                continue
            self._quiet.put(samples[:, : sounding[0]])
            yield from self._shortened() if begun else self._quiet.take(self._quiet.frames)
            begun = True
            yield from self._without_inner_silences(samples, sounding)
        yield from self._quiet.take(self._quiet.frames)

    def _without_inner_silences(self, samples: Samples, sounding: NDArray[np.intp]) -> Iterator[Samples]:
        """From the first sound of a block to its last; the silence behind that waits."""
        start = sounding[0]
        for index in np.flatnonzero(np.diff(sounding) - 1 > self._longest):
            end, next_start = sounding[index] + 1, sounding[index + 1]
            yield samples[:, start:end]
            self._quiet.put(samples[:, end:next_start])
            yield from self._shortened()
            start = next_start
        end = sounding[-1] + 1
        yield samples[:, start:end]
        self._quiet.put(samples[:, end:])

    def _shortened(self) -> Iterator[Samples]:
        quiet, overlap = self._quiet, 2 * self._half_overlap
        if quiet.frames <= self._longest:
            yield from quiet.take(quiet.frames)
            return
        first, second = self._halves
        yield from quiet.take(first - self._half_overlap)
        outgoing = quiet.take_whole(overlap) if overlap else None
        quiet.drop(quiet.frames - second - self._half_overlap)
        if outgoing is not None:
            yield crossfade(outgoing, quiet.take_whole(overlap), 0, overlap)
        yield from quiet.take(quiet.frames)
