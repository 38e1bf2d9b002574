"""What decoded audio is, between the decoder and everything that reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]
"""Shape (channels, frames), C-contiguous or a slice along frames of such an array; full scale is 1.0."""

PLANES_PYAV_CAN_COUNT = 8
"""PyAV looks for a null pointer behind the last plane, and with 8 planes reads past the end of FFmpeg's array: a
planar frame must have fewer. Packed frames have one plane."""

_BLOCK_SECONDS = 12
_BLOCK_SAMPLES = 1_048_576


class Resolution(StrEnum):
    """What the decoder's values were before they became float32. INT16 and INT24 are held exactly."""

    INT16 = "int16"
    INT24 = "int24"
    FLOAT = "float"
    LOSSY = "lossy"

    @property
    def once_changed(self) -> "Resolution":
        """What it is when arithmetic has gone over the samples: no integers, but worth no more bits than before."""
        return {Resolution.INT16: Resolution.LOSSY, Resolution.INT24: Resolution.FLOAT}.get(self, self)


@dataclass(frozen=True)
class Pcm:
    """The shape of a stream of blocks.

    Attributes:
        sample_rate: Hz.
        channels: FFmpeg's short names in order, as in ("FL", "FR").
        resolution: see Resolution.
    """

    sample_rate: int
    channels: tuple[str, ...]
    resolution: Resolution

    @property
    def block_frames(self) -> int:
        """Frames a block: 12 s, or as many as are 4 MB with all channels.

        Measuring takes some hundred calls of NumPy for each block, and around each of them the interpreter lock goes
        from thread to thread, which costs more than what the second-level cache would save in smaller ones.
        """
        return min(_BLOCK_SECONDS * self.sample_rate, _BLOCK_SAMPLES // len(self.channels))


def mean_of_channels(samples: Samples) -> NDArray[np.float32]:
    """Shape (channels, frames) to (frames,). NumPy's own mean over a short first axis takes four times as long."""
    mean: NDArray[np.float32] = samples[0]
    if len(samples) == 1:
        return mean
    mean = mean + samples[1]
    for channel in samples[2:]:
        mean += channel
    mean *= np.float32(1 / len(samples))
    return mean


class Block:
    """Some seconds of audio.

    Attributes:
        position: how much of the input has been read, 0 to 1.
    """

    def __init__(self, make: Callable[[], Samples], position: float) -> None:
        self.position = position
        self._make = make

    @classmethod
    def ready(cls, samples: Samples, position: float) -> Self:
        """A block of samples that are there already."""
        return cls(lambda: samples, position)

    @cached_property
    def samples(self) -> Samples:
        """Shape (channels, frames).

        Made where they are first asked for: in the thread that measures, while another decodes the next block.
        """
        made = self._make()
        # What they were made from is not held beside them.
        del self._make
        return made
