"""One loudness measurement: fed with blocks, asked at the end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.loudness.block_filter import BlockFilter
from services.worker.audio.loudness.gating import STEPS_A_HOP, STEPS_A_SECOND, Gating
from services.worker.audio.loudness.series import Series
from services.worker.audio.loudness.true_peak import TruePeak
from services.worker.audio.loudness.weighting import channel_weights, k_weighting
from services.worker.audio.pcm import Pcm, Samples


@dataclass(frozen=True)
class Measurement:
    """Loudness in LUFS and LU, peaks in dBTP and dBFS; None where silence or shortness leaves nothing to measure."""

    integrated_lufs: float | None
    range_lu: float
    momentary_max_lufs: float | None
    short_term_max_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None


class LoudnessMeter:
    """Integrated loudness, range, maxima and peaks of a stream of blocks.

    Attributes:
        gating, peak: what has been gathered.
    """

    def __init__(self, pcm: Pcm, *, dual_mono: bool = False) -> None:
        self._sample_rate = pcm.sample_rate
        self._step = max(1, round(pcm.sample_rate / STEPS_A_SECOND))
        self._weights = channel_weights(pcm.channels, dual_mono=dual_mono)
        self._filter = BlockFilter(k_weighting(pcm.sample_rate), len(pcm.channels))
        self.gating = Gating()
        self.peak = TruePeak(pcm.sample_rate, len(pcm.channels))
        self._rest: Samples = np.empty((len(pcm.channels), 0), np.float32)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        self.peak.add(samples)
        weighted = self._filter.filter(samples)
        if self._rest.shape[1]:
            weighted = np.concatenate((self._rest, weighted), axis=1)
        whole = weighted.shape[1] // self._step * self._step
        self._rest = weighted[:, whole:].copy()
        if whole:
            self.gating.add(self._powers(weighted[:, :whole], self._step))

    def finish(self) -> None:
        """There is no more."""
        self.peak.finish()
        if not self.gating.has_blocks and (rest := self._rest).shape[1]:
            self.gating.add(self._powers(rest, rest.shape[1]))

    def measurement(self) -> Measurement:
        """The measurement of all that was added, once it is finished."""
        return measure_together((self,))

    def series(self) -> Series:
        """Loudness over time of all that was added."""
        momentary, short_term = self.gating.windows()
        return Series(self._step * STEPS_A_HOP / self._sample_rate, momentary, short_term)

    def _powers(self, weighted: Samples, step: int) -> NDArray[np.float64]:
        steps = weighted.reshape(len(weighted), -1, step)
        powers: NDArray[np.float64] = self._weights @ np.einsum("csi,csi->cs", steps, steps) / step
        return powers


def measure_together(meters: Sequence[LoudnessMeter]) -> Measurement:
    """The measurement of several pieces of audio as one, as of the tracks of an album.

    All their gating blocks stand under one gate, as in libebur128's ebur128_loudness_global_multiple.
    """
    gating = meters[0].gating
    if len(meters) > 1:
        gating = Gating()
        for meter in meters:
            gating.take(meter.gating)
    return Measurement(
        gating.integrated_lufs(),
        gating.range_lu(),
        gating.momentary_max_lufs(),
        gating.short_term_max_lufs(),
        decibels(max(meter.peak.true_peak for meter in meters)),
        decibels(max(meter.peak.sample_peak for meter in meters)),
    )


def decibels(amplitude: float) -> float | None:
    """20 log10 of a linear amplitude; None for none."""
    return 20 * math.log10(amplitude) if amplitude > 0 else None
