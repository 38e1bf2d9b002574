"""The extremes of audio over the width of a picture, for audio of a length that nobody knows before its end."""

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples, mean_of_channels


class Outline:
    """A consumer of blocks: up to twice the picture's width of columns, each of the same number of samples.

    When all are taken, each two neighbours become one of twice the samples. So a picture has between one and two
    columns a pixel, whatever the length of the audio, once there are as many samples as pixels.
    """

    def __init__(self, width: int, channels: int, *, split_channels: bool) -> None:
        self._width = width
        self._split = split_channels
        self._rows = channels if split_channels else 1
        self._span = 1
        self._whole = 0
        self._frames = 0
        # Minimum and maximum of each column.
        self._extremes = np.zeros((2, self._rows, 2 * width), np.float32)
        self._rest: Samples = np.empty((self._rows, 0), np.float32)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        self._frames += samples.shape[1]
        if not self._split and len(samples) > 1:
            samples = mean_of_channels(samples)[None, :]
        waiting = np.concatenate((self._rest, samples), axis=1)
        while count := min(waiting.shape[1] // self._span, 2 * self._width - self._whole):
            taken = count * self._span
            self._put(waiting[:, :taken].reshape(self._rows, count, self._span))
            waiting = waiting[:, taken:]
        self._rest = waiting.copy()

    def finish(self) -> None:
        """The column that is not complete becomes one all the same."""
        if self._rest.shape[1]:
            self._put(self._rest[:, None, :])

    def extremes(self) -> NDArray[np.float32]:
        """Least and greatest sample of each pixel, full scale 1.0; shape (2, rows, width), a row a channel."""
        edges = np.arange(self._width + 1) * self._frames / self._width / self._span
        first = np.minimum(edges[:-1].astype(np.intp), self._whole - 1)
        # Where there are fewer columns than pixels, several pixels show the same one.
        last = np.maximum(np.ceil(edges[1:]).astype(np.intp), first + 1)
        least, greatest = self._extremes
        pixels = [
            (least[:, start:end].min(axis=1), greatest[:, start:end].max(axis=1))
            for start, end in zip(first, np.minimum(last, self._whole), strict=True)
        ]
        return np.array(pixels, np.float32).transpose(1, 2, 0)

    def _put(self, columns: Samples) -> None:
        end = self._whole + columns.shape[1]
        self._extremes[0, :, self._whole : end] = columns.min(axis=2)
        self._extremes[1, :, self._whole : end] = columns.max(axis=2)
        self._whole = end
        if end == 2 * self._width:
            self._halve()

    def _halve(self) -> None:
        self._whole = self._width
        least, greatest = self._extremes
        least[:, : self._whole] = np.minimum(least[:, 0::2], least[:, 1::2])
        greatest[:, : self._whole] = np.maximum(greatest[:, 0::2], greatest[:, 1::2])
        self._span *= 2
