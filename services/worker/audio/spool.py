"""Decoded audio on disk, for operations that must know all of it before they can begin."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Block, Pcm, Resolution, Samples


class Spool:
    """A scratch file of samples: 2 bytes each where the source has 16 bits, else 4. Nothing is lost in it."""

    def __init__(self, path: Path, pcm: Pcm) -> None:
        self._path = path
        self._pcm = pcm
        self._type = np.int16 if pcm.resolution is Resolution.INT16 else np.float32
        self._blocks: list[int] = []
        self._file = path.open("wb")

    def add(self, samples: Samples) -> None:
        """Append a block, shape (channels, frames)."""
        self._blocks.append(samples.shape[1])
        if self._type is np.int16:
            self._file.write((samples * np.float32(32768)).astype(np.int16).data)
        else:
            self._file.write(np.ascontiguousarray(samples).data)

    def finish(self) -> None:
        """End of writing."""
        self._file.close()

    def abort(self) -> None:
        """End of writing, at once."""
        self._file.close()

    def blocks(self) -> Iterator[Block]:
        """All blocks, as they were added; positions are of this pass."""
        total, done = sum(self._blocks), 0
        channels = len(self._pcm.channels)
        with self._path.open("rb", buffering=0) as file:
            for frames in self._blocks:
                values = np.empty((channels, frames), self._type)
                if file.readinto(values.data.cast("B")) != values.nbytes:
                    raise OSError("the scratch file of decoded audio is shorter than what was written to it")
                done += frames
                yield Block(partial(self._samples, values), done / total)

    def _samples(self, values: NDArray[np.int16] | Samples) -> Samples:
        if self._type is np.float32:
            return np.asarray(values, np.float32)
        return np.multiply(values, np.float32(1 / 32768), dtype=np.float32)
