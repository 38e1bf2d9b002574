"""Delay lines of any length: what is not yet due waits in memory, and on disk where it is much."""

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from services.worker.audio.pcm import Samples

_MOST_BYTES = 16 << 20


class Holds:
    """Makes the holds of one run, which have so many bytes of memory together; the rest goes to `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._numbers = itertools.count()
        self._bytes = 0
        self._lock = threading.Lock()

    def hold(self) -> "Hold":
        """Another one, empty."""
        return Hold(self)

    def take_room(self, size: int) -> bool:
        """Whether there are so many bytes left; they are then taken."""
        with self._lock:
            fits = self._bytes + size <= _MOST_BYTES
            self._bytes += size if fits else 0
            return fits

    def give_room(self, size: int) -> None:
        """So many bytes are free again."""
        with self._lock:
            self._bytes -= size

    def path(self) -> Path:
        """Where a piece on disk may be."""
        return self._scratch / f"held-{next(self._numbers)}.npy"


class _Spilled(NamedTuple):
    path: Path
    frames: int


class Hold:
    """Samples, first in, first out.

    Attributes:
        frames: how many wait.
    """

    def __init__(self, holds: Holds) -> None:
        self.frames = 0
        self._holds = holds
        self._pieces: deque[Samples | _Spilled] = deque()

    def put(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        frames = samples.shape[1]
        if not frames:
            return
        self.frames += frames
        if self._holds.take_room(samples.nbytes):
            self._pieces.append(samples)
        else:
            path = self._holds.path()
            np.save(path, samples)
            self._pieces.append(_Spilled(path, frames))

    def take(self, frames: int) -> Iterator[Samples]:
        """The oldest samples, as many as are asked for or as there are, in pieces that leave as they are taken."""
        while frames > 0 and self._pieces:
            piece = self._load(self._pieces.popleft())
            due, rest = piece[:, :frames], piece[:, frames:]
            if rest.shape[1]:
                self._pieces.appendleft(rest)
            self._holds.give_room(due.nbytes)
            self.frames -= due.shape[1]
            frames -= due.shape[1]
            yield due

    def take_whole(self, frames: int) -> Samples:
        """So many of the oldest samples in one array; for short stretches."""
        return np.concatenate(list(self.take(frames)), axis=1)

    def drop(self, frames: int) -> None:
        """Forget the oldest samples."""
        while frames > 0 and self._pieces:
            first = self._pieces[0]
            if isinstance(first, _Spilled) and first.frames <= frames:
                self._pieces.popleft()
                first.path.unlink()
                self.frames -= first.frames
                frames -= first.frames
            else:
                frames -= sum(piece.shape[1] for piece in self.take(min(frames, _frames(first))))

    def _load(self, piece: Samples | _Spilled) -> Samples:
        """A piece in memory; one that was on disk takes room there, whether there is any or not."""
        if isinstance(piece, _Spilled):
            samples: Samples = np.load(piece.path)
            piece.path.unlink()
            self._holds.give_room(-samples.nbytes)
            return samples
        return piece


def _frames(piece: Samples | _Spilled) -> int:
    return piece.frames if isinstance(piece, _Spilled) else piece.shape[1]
