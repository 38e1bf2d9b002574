"""True peak (ITU-R BS.1770-4, annex 2): the largest value between the samples, by oversampling.

Oversampling costs more than all the rest of a measurement, and nearly all of it can be left out without changing the
result: where a bound on the points between the samples does not beat the maximum found so far. First the bound of each
stretch is looked at, the loudest first, and then that of each row of a stretch.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples

HALF_TAPS = 16
STRETCH = 512
# Rows in one product: a bound on memory.
_ROWS_AT_ONCE = 1024
# Samples of which a row holds the points.
ROW_POINTS = 32
_KAISER_BETA = 8.0


def oversampling_factor(sample_rate: int) -> int:
    """Annex 2 asks for at least 192 kHz: 4 times for 48 kHz, 2 times for 96 kHz, samples alone from 192 kHz."""
    return 4 if sample_rate < 96_000 else 2 if sample_rate < 192_000 else 1


def interpolator(factor: int) -> Samples:
    """Windowed-sinc coefficients for the points between two samples, shape (2 * HALF_TAPS, factor - 1).

    Column p gives the value (p + 1) / factor after the sample at row HALF_TAPS - 1.
    """
    times = np.arange(1 - HALF_TAPS, HALF_TAPS + 1)[:, None] - np.arange(1, factor)[None, :] / factor
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0, 1 - (times / HALF_TAPS) ** 2))) / np.i0(_KAISER_BETA)
    taps = np.sinc(times) * window
    # Each phase passes a constant unchanged.
    normalised: Samples = (taps / taps.sum(axis=0)).astype(np.float32)
    return normalised


class PointsBetween:
    """The points between samples, row by row of ROW_POINTS samples.

    Attributes:
        phases: points after each sample; none where oversampling is not wanted.
        length: samples that a row of points is worked out from; its first is after sample HALF_TAPS - 1 of them.
    """

    def __init__(self, sample_rate: int) -> None:
        taps = interpolator(oversampling_factor(sample_rate))
        self.phases = taps.shape[1]
        self.length = len(taps) - 1 + ROW_POINTS
        self._reach = np.float32(np.abs(taps).sum(axis=0).max(initial=1.0))
        self._reach_of_steps = np.float32(np.abs(_taps_of_steps(taps)).sum(axis=0).max(initial=0.0))
        # The taps shifted along: one product of matrices takes a fraction of the time that as many short ones do,
        # though half of its factors are 0.
        rows = np.zeros((self.length, self.phases, ROW_POINTS), np.float32)
        for point in range(ROW_POINTS):
            rows[point : point + len(taps), :, point] = taps
        self._rows = rows.reshape(self.length, -1)

    def most_of_stretches(self, joined: Samples, peaks: Samples) -> Samples:
        """What the points of each stretch are at most, shape (channels, stretches).

        Args:
            joined: the samples, shape (channels, frames).
            peaks: the largest magnitude of each stretch, see peaks_of_stretches.
        """
        steps = np.zeros_like(joined)
        np.subtract(joined[:, 1:], joined[:, :-1], out=steps[:, :-1])
        return self._at_most(_with_the_next(peaks), _with_the_next(peaks_of_stretches(steps)))

    def windows(self, joined: Samples) -> Samples:
        """A view of what each row could be worked out from, shape (channels, first sample, length)."""
        return np.lib.stride_tricks.sliding_window_view(joined, self.length, axis=1)

    def rows_above(
        self, windows: Samples, channels: NDArray[np.intp], stretches: NDArray[np.intp], level: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Channel and first sample of the rows of some stretches that may have a point above a level.

        The points have samples enough after them: the rows that would go past the end take the last points once more.
        """
        starts = stretches[:, None] * STRETCH + np.arange(0, STRETCH, ROW_POINTS)
        starts = np.minimum(starts, windows.shape[1] - 1)
        rows = windows[channels[:, None], starts]
        steps = np.abs(rows[..., 1:] - rows[..., :-1]).max(axis=-1)
        row, column = np.nonzero(self._at_most(np.abs(rows).max(axis=-1), steps) > level)
        return channels[row], starts[row, column]

    def of(
        self, windows: Samples, channels: NDArray[np.intp], starts: NDArray[np.intp]
    ) -> Iterator[tuple[slice, Samples]]:
        """The points of rows that begin at `starts` of `channels`, some rows at a time.

        Yields:
            Which of the rows, and their points, shape (rows, phases, ROW_POINTS).
        """
        for first in range(0, len(starts), _ROWS_AT_ONCE):
            some = slice(first, first + _ROWS_AT_ONCE)
            points: Samples = windows[channels[some], starts[some]] @ self._rows
            yield some, points.reshape(-1, self.phases, ROW_POINTS)

    def _at_most(self, peaks: Samples, steps: Samples) -> Samples:
        """A bound on points from the largest sample around them, and the largest step from a sample to the next.

        A point is the sum of its taps times the samples: at most the largest of these times the taps' magnitudes.
        It is also what the line between its two neighbours has in its place, plus what the taps less those of that
        line give. They add up to 0, so that this is a sum over the steps. For all sound that is not mostly of the
        highest frequencies, that is by far the lower bound.
        """
        bound: Samples = np.minimum(peaks * self._reach, peaks + steps * self._reach_of_steps)
        return bound


def peaks_of_stretches(samples: Samples) -> Samples:
    """The largest magnitude of each stretch, shape (channels, stretches); the last stretch may be short."""
    starts = np.arange(0, samples.shape[1], STRETCH)
    peaks: Samples = np.maximum(
        np.maximum.reduceat(samples, starts, axis=1), -np.minimum.reduceat(samples, starts, axis=1)
    )
    return peaks


def _with_the_next(stretches: Samples) -> Samples:
    """The points of a stretch reach into the next one: 2 * HALF_TAPS - 1 samples, less than a stretch."""
    both = stretches.copy()
    np.maximum(both[:, :-1], stretches[:, 1:], out=both[:, :-1])
    return both


def _taps_of_steps(taps: Samples) -> NDArray[np.float64]:
    """The taps, less those of the line between the two samples beside a point, as factors of the steps."""
    phases = np.arange(1, taps.shape[1] + 1) / (taps.shape[1] + 1)
    beyond = taps.astype(np.float64)
    beyond[HALF_TAPS - 1] -= 1 - phases
    beyond[HALF_TAPS] -= phases
    return np.cumsum(beyond, axis=0)


class TruePeak:
    """Running sample peak and true peak of all channels, linear."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_peak = 0.0
        self.true_peak = 0.0
        self._between = PointsBetween(sample_rate)
        # What is before the first sample and after the last is silence. With one more sample it is a row.
        self._tail: Samples = np.zeros((channels, self._between.length - 1), np.float32)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        if samples.shape[1] == 0:
            return
        if self._between.phases == 0:
            self._take_samples(samples)
            return
        joined = np.concatenate((self._tail, samples), axis=1)
        self._tail = joined[:, -self._tail.shape[1] :].copy()
        self._interpolate(joined, self._take_samples(joined))

    def finish(self) -> None:
        """Look at what lies after the last sample."""
        self.add(np.zeros((len(self._tail), HALF_TAPS), np.float32))

    def _take_samples(self, samples: Samples) -> Samples:
        """Update the sample peak; gives the peaks of stretches."""
        peaks = peaks_of_stretches(samples)
        self.sample_peak = max(self.sample_peak, float(peaks.max()))
        self.true_peak = max(self.true_peak, self.sample_peak)
        return peaks

    def _interpolate(self, joined: Samples, peaks: Samples) -> None:
        most = self._between.most_of_stretches(joined, peaks)
        windows = self._between.windows(joined)
        # The very loudest alone first: it leaves out most of the others.
        self._look_at(windows, most, most == most.max())
        self._look_at(windows, most, most > self.true_peak)

    def _look_at(self, windows: Samples, most: Samples, chosen: NDArray[np.bool_]) -> None:
        channels, stretches = np.nonzero(chosen & (most > self.true_peak))
        rows = self._between.rows_above(windows, channels, stretches, self.true_peak)
        for _, points in self._between.of(windows, *rows):
            self.true_peak = max(self.true_peak, float(points.max()), -float(points.min()))
