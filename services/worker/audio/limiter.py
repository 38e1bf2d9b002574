"""A look-ahead limiter for true peaks: the gain goes down before a peak comes, and up again after it.

The reduction that each sample needs, in decibels, is held for the look-ahead around it, falls after it at a constant
rate, and is then averaged over as long as it was held: so the gain has no corners, and is nowhere less reduced than
a sample needs. The gain is the same for all channels, which keeps the image in its place.
"""

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.loudness.true_peak import HALF_TAPS, ROW_POINTS, PointsBetween, peaks_of_stretches
from services.worker.audio.pcm import Samples

_HOLD_SECONDS = 0.0025
_RELEASE_DB_A_SECOND = 60.0
# Room for the gain's own movement, for dither, and for meters that oversample in another way than ours.
_MARGIN_DB = 0.1


class Limiter:
    """Blocks in, blocks of the same length out, later by the look-ahead; `flush` gives the rest.

    Attributes:
        largest_reduction_db: by how much the gain went down at most.
    """

    def __init__(self, sample_rate: int, channels: int, ceiling_dbtp: float) -> None:
        self.largest_reduction_db = 0.0
        self._ceiling = float(10 ** ((ceiling_dbtp - _MARGIN_DB) / 20))
        self._between = PointsBetween(sample_rate)
        self._hold = max(1, round(_HOLD_SECONDS * sample_rate))
        self._fall = _RELEASE_DB_A_SECOND / sample_rate
        self._latency = HALF_TAPS + 2 * self._hold
        self._samples: Samples = np.zeros((channels, max(self._latency, self._between.length - 1)), np.float32)
        self._needed: NDArray[np.float64] = np.zeros(2 * self._hold)
        self._released: NDArray[np.float64] = np.zeros(2 * self._hold)
        self._left_out = self._latency

    def limit(self, samples: Samples) -> Samples:
        """Shape (channels, frames) to (channels, frames): what came before, and less of it at the very start."""
        frames = samples.shape[1]
        joined = np.concatenate((self._samples, samples), axis=1)
        self._samples = joined[:, frames:].copy()
        reduction = self._smoothed(self._needed_db(joined[:, 1 - frames - self._between.length :], frames), frames)
        late = joined[:, -(frames + self._latency) :][:, :frames]
        if reduction is not None:
            self.largest_reduction_db = max(self.largest_reduction_db, float(reduction.max()))
            late = late * (10 ** (reduction / -20)).astype(np.float32)
        left_out, self._left_out = self._left_out, max(0, self._left_out - frames)
        return late[:, min(left_out, frames) :]

    def flush(self) -> Samples:
        """What is still held back."""
        return self.limit(np.zeros((len(self._samples), self._latency), np.float32))

    def _needed_db(self, joined: Samples, frames: int) -> NDArray[np.float64] | None:
        """Reduction that a sample, and what is between it and its neighbours, needs; None where nothing does.

        Given a block and the samples before it; for as many samples as the block has, HALF_TAPS late.
        """
        most = self._between.most_of_stretches(joined, peaks_of_stretches(joined))
        loud_channels, loud = np.nonzero(most > self._ceiling)
        if not len(loud):
            return None
        levels = np.abs(joined).max(axis=0)
        if self._between.phases:
            between = np.zeros((len(joined), len(levels) - 2 * HALF_TAPS + 1), np.float32)
            windows = self._between.windows(joined)
            channels, starts = self._between.rows_above(windows, loud_channels, loud, self._ceiling)
            for some, points in self._between.of(windows, channels, starts):
                places = starts[some, None] + np.arange(ROW_POINTS)
                between[channels[some, None], places] = np.abs(points).max(axis=1)
            highest = between.max(axis=0)
            for sample_beside in (levels[HALF_TAPS - 1 : -HALF_TAPS], levels[HALF_TAPS : 1 - HALF_TAPS]):
                np.maximum(sample_beside, highest, out=sample_beside)
        over = levels[-(frames + HALF_TAPS) : -HALF_TAPS].astype(np.float64) / self._ceiling
        return 20 * np.log10(np.maximum(over, 1.0)) if over.max() > 1 else None

    def _smoothed(self, needed: NDArray[np.float64] | None, frames: int) -> NDArray[np.float64] | None:
        """Reduction of the samples that are due, from what later ones need, shape (frames,); None where there is none.

        Twice `hold` samples late.
        """
        if needed is None:
            if not (self._needed.any() or self._released.any()):
                return None
            needed = np.zeros(frames)
        needed = np.concatenate((self._needed, needed))
        held = _largest_of_each(needed, 2 * self._hold + 1)
        # Each value falls at a constant rate until another is larger: with the fall added back, a running maximum.
        fallen = self._fall * np.arange(1, frames + 1)
        released = np.maximum.accumulate(np.maximum(held + fallen, self._released[-1])) - fallen
        released = np.concatenate((self._released, np.maximum(released, 0.0)))
        self._needed, self._released = needed[frames:], released[frames:]
        return _mean_of_each(_mean_of_each(released, self._hold + 1), self._hold + 1)


def _largest_of_each(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Largest value of each window; the result is shorter by one window less one."""
    size = 1
    while size < length:
        step = min(size, length - size)
        values = np.maximum(values[:-step], values[step:])
        size += step
    return values


def _mean_of_each(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Mean of each window; the result is shorter by one window less one."""
    sums = np.concatenate(((0.0,), np.cumsum(values)))
    # A difference of sums may be the least bit below zero.
    means: NDArray[np.float64] = np.maximum(sums[length:] - sums[:-length], 0.0) / length
    return means
