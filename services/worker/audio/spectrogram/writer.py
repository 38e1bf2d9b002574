"""From blocks of audio to spectra, and from these to the picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from services.worker.audio.pcm import Pcm, Samples, mean_of_channels
from services.worker.audio.spectrogram.axis import FrequencyAxis
from services.worker.audio.spectrogram.columns import Columns
from services.worker.audio.spectrogram.frame import MARGINS, NO_MARGINS, framed
from services.worker.audio.spectrogram.picture import paint
from shared.schema.operations import Spectrogram

_WINDOW_SECONDS = 0.04
_LEAST_WINDOW = 64
_HOPS_A_WINDOW = 8
# Spectra at once: their windows and bins stay in the L2 cache.
_BATCH = 256
# Rows at once: the picture's columns are held once more, in float64, while its pixels are made.
_ROWS_AT_ONCE = 64


def window_length(sample_rate: int) -> int:
    """Samples a spectrum: the power of two that is 40 ms or more, 2048 for 44.1 and 48 kHz."""
    return max(_LEAST_WINDOW, 1 << int(np.ceil(np.log2(_WINDOW_SECONDS * sample_rate))))


class SpectrogramWriter:
    """A consumer of blocks that draws the mean of the channels. A full-scale sine is at 0 dB.

    Attributes:
        axis: of frequency.
        margins: around the spectrum, for the axes if they are wanted.
    """

    def __init__(self, path: Path, pcm: Pcm, operation: Spectrogram) -> None:
        self.axis = FrequencyAxis(
            operation.frequency_scale, operation.height, pcm.sample_rate, operation.min_hz, operation.max_hz
        )
        self.margins = MARGINS if operation.axes else NO_MARGINS
        self._path = path
        self._sample_rate = pcm.sample_rate
        self._operation = operation
        self._length = window_length(pcm.sample_rate)
        self._hop = self._length // _HOPS_A_WINDOW
        row_map = self.axis.rows_of(pcm.sample_rate / self._length, self._length // 2 + 1)
        self._columns = Columns(operation.width, row_map)
        # Hann, periodic; scaled so that a sine's peak bin is half of its amplitude, and its power a quarter.
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self._length) / self._length)
        self._window = (hann * 2 / hann.sum()).astype(np.float32)
        self._frames = 0
        # The first spectrum stands in the middle of the first hop; what is before the audio is silence.
        self._rest: NDArray[np.float32] = np.zeros((self._length - self._hop) // 2, np.float32)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        self._frames += samples.shape[1]
        self._draw(mean_of_channels(samples))

    def finish(self) -> None:
        """Draw what is left, and write the picture."""
        # Enough for a spectrum in each hop that began.
        self._draw(np.zeros((self._length + self._hop) // 2 - 1, np.float32))
        self._columns.finish()
        self._write()

    def abort(self) -> None:
        """Nothing is open before the end."""

    def _draw(self, mono: NDArray[np.float32]) -> None:
        waiting = np.concatenate((self._rest, mono))
        position, last = 0, len(waiting) - self._length
        windows = np.lib.stride_tricks.sliding_window_view(waiting, self._length) if last >= 0 else waiting[:0]
        while position <= last:
            step = self._columns.step * self._hop
            count = self._columns.wanted(min((last - position) // step + 1, _BATCH))
            end = position + count * step
            self._columns.add(self._squares(windows[position:end:step]))
            position = end
        self._rest = waiting[position:].copy()

    def _squares(self, windows: Samples) -> Samples:
        """Squares of the real and of the imaginary part of each bin in turn, shape (spectra, 2 * bins)."""
        bins = rfft(windows * self._window, axis=1, overwrite_x=True)
        squares: Samples = np.square(bins.view(np.float32))
        return squares

    def _write(self) -> None:
        operation = self._operation
        indices = np.empty((operation.height, operation.width), np.uint8)
        for start in range(0, operation.height, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            power = self._columns.pixels(self._frames / self._hop, rows)
            levels = 10 * np.log10(np.maximum(power, np.float32(1e-30))) / operation.range_db + 1
            indices[rows] = np.rint(np.clip(levels, 0, 1) * 255).T
        image = paint(indices[::-1], operation.colors)
        if operation.axes:
            image = framed(image, self.axis, self._frames / self._sample_rate, operation.range_db, operation.colors)
        image.save(self._path, "PNG")
