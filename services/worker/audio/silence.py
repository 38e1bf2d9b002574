"""Silence: stretches in which no sample of any channel reaches a threshold, for a time at least."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Pcm, Samples


def heard(samples: Samples, threshold: float) -> NDArray[np.intp]:
    """Frames of a block at which a sample of any channel has a magnitude of `threshold` (linear) or more, ascending."""
    limit = np.float32(threshold)
    loud = np.zeros(samples.shape[1], np.bool_)
    for channel in samples:
        loud |= channel >= limit
        loud |= channel <= -limit
    return np.flatnonzero(loud)


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
        positions = heard(samples, self._threshold) + self._frames
        self._frames += samples.shape[1]
        if not len(positions):
            return
        distances = np.diff(positions, prepend=self._last_loud)
        for index in np.flatnonzero(distances > self._shortest):
            self._note(int(positions[index] - distances[index]) + 1, int(positions[index]))
        self._last_loud = int(positions[-1])

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
