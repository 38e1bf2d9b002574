"""True peak (ITU-R BS.1770-4, annex 2): the largest value between the samples, by oversampling.

Oversampling costs more than all the rest of a measurement, and most of it can be left out without changing the
result: an interpolated value is at most the largest sample within the filter's reach times the sum of the
filter's absolute coefficients. A stretch where even that cannot beat the maximum found so far is skipped, and
the loudest stretches are looked at first.
"""

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples

HALF_TAPS = 16
STRETCH = 512
_BATCH = 16
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
        reach: what a point can be at most, for samples of 1.
        length: samples that a row of points is worked out from; its first is after sample HALF_TAPS - 1 of them.
    """

    def __init__(self, sample_rate: int) -> None:
        taps = interpolator(oversampling_factor(sample_rate))
        self.phases = taps.shape[1]
        self.reach = float(np.abs(taps).sum(axis=0).max(initial=1.0))
        self.length = len(taps) - 1 + ROW_POINTS
        # The taps shifted along: one product of matrices takes a fraction of the time that as many short ones do,
        # though half of its factors are 0.
        rows = np.zeros((self.length, self.phases, ROW_POINTS), np.float32)
        for point in range(ROW_POINTS):
            rows[point : point + len(taps), :, point] = taps
        self._rows = rows.reshape(self.length, -1)

    def of(self, samples: Samples, channels: NDArray[np.intp], starts: NDArray[np.intp]) -> Samples:
        """Shape (..., rows, phases, ROW_POINTS) for `channels` and `starts` that broadcast to (..., rows).

        OpenBLAS keeps the product of one `rows` in the calling thread while these are a few dozen.
        """
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.length, axis=1)
        points: Samples = windows[channels, starts] @ self._rows
        return points.reshape(*points.shape[:-1], self.phases, ROW_POINTS)


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
        """Update the sample peak; peaks of stretches, shape (channels, stretches), the last one possibly short."""
        starts = np.arange(0, samples.shape[1], STRETCH)
        peaks = np.maximum(np.maximum.reduceat(samples, starts, axis=1), -np.minimum.reduceat(samples, starts, axis=1))
        self.sample_peak = max(self.sample_peak, float(peaks.max()))
        self.true_peak = max(self.true_peak, self.sample_peak)
        return peaks

    def _interpolate(self, joined: Samples, peaks: Samples) -> None:
        # A stretch's points reach into the next one: 2 * HALF_TAPS - 1 samples, less than a stretch.
        reached = peaks.copy()
        np.maximum(reached[:, :-1], peaks[:, 1:], out=reached[:, :-1])
        loudest_first = np.argsort(-reached, axis=None)
        start, count = 0, 1
        while start < len(loudest_first):
            chosen = loudest_first[start : start + count]
            chosen = chosen[reached.flat[chosen] * self._between.reach > self.true_peak]
            if not len(chosen):
                return
            self._look_between(joined, *np.divmod(chosen, reached.shape[1]))
            # The very loudest alone first: it leaves out most of the others.
            start, count = start + count, _BATCH

    def _look_between(self, joined: Samples, channels: NDArray[np.intp], stretches: NDArray[np.intp]) -> None:
        """Interpolate after each sample of some stretches, where there are samples enough after it."""
        starts = stretches[:, None] * STRETCH + np.arange(0, STRETCH, ROW_POINTS)
        # The rows that would go past the end take the last points once more.
        starts = np.minimum(starts, joined.shape[1] - self._between.length)
        between = self._between.of(joined, channels[:, None], starts)
        self.true_peak = max(self.true_peak, float(between.max()), -float(between.min()))
