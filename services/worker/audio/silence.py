"""Silence: stretches in which no sample of any channel reaches a threshold, for a time at least."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Pcm, Samples


def heard(samples: Samples, threshold: float) -> NDArray[np.intp]:
    """Frames of a block at which a sample of any channel has a magnitude of `threshold` (linear) or more, ascending."""
    return np.flatnonzero(_is_heard(samples, threshold))


def heard_runs(samples: Samples, threshold: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The same as runs of frames: the first frame of each, and the last of each."""
    is_heard = np.concatenate(((False,), _is_heard(samples, threshold), (False,)))
    changes = np.flatnonzero(is_heard[1:] != is_heard[:-1])
    return changes[0::2], changes[1::2] - 1


def _is_heard(samples: Samples, threshold: float) -> NDArray[np.bool_]:
    limit = np.float32(threshold)
    is_heard = np.zeros(samples.shape[1], np.bool_)
    for channel in samples:
        is_heard |= channel >= limit
        is_heard |= channel <= -limit
    return is_heard


class SilenceWriter:
    """Blocks to a JSON file of silences, which grows as they are found.

    Attributes:
        count: silences found so far.
        first: the first of them, at most `keep`: start and end in seconds.
    """

    def __init__(self, path: Path, pcm: Pcm, threshold_dbfs: float, min_seconds: float, *, keep: int) -> None:
        self.count = 0
        self.first: list[tuple[float, float]] = []
        self._keep = keep
        self._rate = pcm.sample_rate
        self._threshold = 10 ** (threshold_dbfs / 20)
        self._shortest = max(1, round(min_seconds * pcm.sample_rate))
        self._frames = 0
        self._silent_frames = 0
        self._last_loud = -1
        self._file = path.open("w", encoding="ascii")
        head = json.dumps({"threshold_dbfs": threshold_dbfs, "min_seconds": min_seconds})
        self._file.write(head[:-1] + ', "silences": [')

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        first, last = heard_runs(samples, self._threshold)
        if len(first):
            before = np.concatenate(((self._last_loud,), last[:-1] + self._frames))
            distances = first + self._frames - before
            for index in np.flatnonzero(distances > self._shortest):
                self._note(int(before[index]) + 1, int(first[index]) + self._frames)
            self._last_loud = int(last[-1]) + self._frames
        self._frames += samples.shape[1]

    def finish(self) -> None:
        """Note the silence that the audio ends with, and close the file."""
        if self._frames - self._last_loud > self._shortest:
            self._note(self._last_loud + 1, self._frames)
        rest = json.dumps({"count": self.count, "silent_seconds": self.silent_seconds})
        self._file.write("], " + rest[1:] + "\n")
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()

    @property
    def silent_seconds(self) -> float:
        """Length of all silences together."""
        return round(self._silent_frames / self._rate, 6)

    def _note(self, start: int, end: int) -> None:
        """A silence from one frame up to another, which is no longer in it."""
        interval = (round(start / self._rate, 6), round(end / self._rate, 6))
        entry = json.dumps({"start_seconds": interval[0], "end_seconds": interval[1]})
        self._file.write((", " if self.count else "") + entry)
        self.count += 1
        self._silent_frames += end - start
        if len(self.first) < self._keep:
            self.first.append(interval)
