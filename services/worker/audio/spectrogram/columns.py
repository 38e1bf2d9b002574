"""The time axis: spectra averaged into columns, for audio of a length that nobody knows before its end."""

import numpy as np

from services.worker.audio.pcm import Samples
from services.worker.audio.spectrogram.axis import RowMap

_MOST_HOPS_A_SPECTRUM = 4
# Columns of which rows are made at once.
_BATCH = 64


class Columns:
    """Up to twice the picture's width of columns, each of the same number of hops.

    When all are taken, each two neighbours become one, of twice the hops. So a picture has between one and two
    columns a pixel, whatever the length of the audio, once there are as many hops as pixels.

    Attributes:
        step: hops from one spectrum to the next that is wanted. A long column needs no spectra at every hop; at
            the largest step they overlap by half, and no sample is left out.
    """

    def __init__(self, width: int, row_map: RowMap) -> None:
        self.step = 1
        self._width = width
        self._row_map = row_map
        self._span = 1
        self._whole = 0
        self._means: Samples = np.zeros((2 * width, row_map.count), np.float32)
        # Columns that are whole, still as bins.
        self._bins: Samples = np.empty((row_map.bins, _BATCH), np.float32)
        self._waiting = 0
        # The column that is not complete: the sum of its spectra, and how many these are.
        self._sum: Samples = np.zeros(2 * row_map.bins, np.float32)
        self._summed = 0

    @property
    def _spectra_a_column(self) -> int:
        return self._span // self.step

    def wanted(self, most: int) -> int:
        """How many spectra the next call of `add` is to bring, at most `most`."""
        each = self._spectra_a_column
        if self._summed or most < each:
            return min(most, each - self._summed)
        return min(most // each, self._room()) * each

    def add(self, squares: Samples) -> None:
        """Take in as many spectra as are wanted, `step` hops apart.

        Args:
            squares: of the real and of the imaginary part of each bin in turn, shape (spectra, 2 * bins). They are
                added up as they stand: a column has many spectra, and is one power a bin.
        """
        each = self._spectra_a_column
        if self._summed or len(squares) < each:
            self._sum += squares.sum(axis=0)
            self._summed += len(squares)
            if self._summed < each:
                return
            squares = self._sum[None, :]
            self._begin_column()
        elif each > 1:
            squares = squares.reshape(-1, each, squares.shape[1]).sum(axis=1)
        self._put(_powers(squares) / np.float32(each))

    def finish(self) -> None:
        """The column that is not complete becomes one all the same."""
        if self._summed:
            self._put(_powers(self._sum[None, :]) / np.float32(self._summed))
            self._begin_column()
        self._make_rows()

    def _room(self) -> int:
        return min(_BATCH - self._waiting, len(self._means) - self._whole - self._waiting)

    def _put(self, columns: Samples) -> None:
        """Take in columns that there is room for, shape (columns, bins)."""
        end = self._waiting + len(columns)
        self._bins[:, self._waiting : end] = columns.T
        self._waiting = end
        if not self._room():
            self._make_rows()

    def _make_rows(self) -> None:
        end = self._whole + self._waiting
        self._means[self._whole : end] = self._row_map.rows(self._bins[:, : self._waiting]).T
        self._whole, self._waiting = end, 0
        if end == len(self._means):
            self._halve()

    def _begin_column(self) -> None:
        self._sum = np.zeros_like(self._sum)
        self._summed = 0

    def _halve(self) -> None:
        self._whole = self._width
        self._means[: self._whole] = (self._means[0::2] + self._means[1::2]) / 2
        self._span *= 2
        self.step = min(self._span, _MOST_HOPS_A_SPECTRUM)

    def pixels(self, hops: float, rows: slice) -> Samples:
        """Mean power of each pixel of some rows, shape (width, rows), when `hops` hops are spread over the width."""
        means = self._means[: self._whole, rows].astype(np.float64)
        # Sums from the start of the audio to the start of each column, and from there to the edges of the pixels.
        sums = np.cumsum(means * self._span, axis=0) - means * self._span
        edges = np.linspace(0, hops, self._width + 1)
        column = np.minimum(edges.astype(np.intp) // self._span, self._whole - 1)
        at_edges = sums[column] + means[column] * (edges - column * self._span)[:, None]
        pixels: Samples = (np.diff(at_edges, axis=0) * (self._width / hops)).astype(np.float32)
        return pixels


def _powers(squares: Samples) -> Samples:
    powers: Samples = squares[:, 0::2] + squares[:, 1::2]
    return powers
