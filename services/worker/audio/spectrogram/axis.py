"""The frequency axis: which frequencies a row stands for, and the level of a row from the bins of a spectrum."""

import math

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples
from shared.schema.operations import FrequencyScale

_LOWEST_ON_A_LOG_AXIS_HZ = 20.0


class FrequencyAxis:
    """Rows from low to high, each as high as the others on the scale.

    Attributes:
        min_hz, max_hz: the lower edge of the first row and the upper one of the last.
    """

    def __init__(
        self, scale: FrequencyScale, rows: int, sample_rate: int, min_hz: float | None, max_hz: float | None
    ) -> None:
        self._scale = scale
        # Twice the lower end, where that already is above all that the audio can hold: nothing is drawn there.
        self.max_hz = max(sample_rate / 2, 2 * (min_hz or 0)) if max_hz is None else max_hz
        lowest = min(_LOWEST_ON_A_LOG_AXIS_HZ, self.max_hz / 100) if scale is FrequencyScale.LOG else 0.0
        self.min_hz = lowest if min_hz is None else min_hz
        # Edges and centres of the rows in turn.
        points = _points(scale, self.min_hz, self.max_hz, 2 * rows + 1)
        self._edges, self._centres = points[::2], points[1::2]

    def place(self, hertz: float) -> float:
        """Where a frequency stands, from 0 at the lower end to 1 at the upper."""
        low, high, at = (_on_scale(self._scale, value) for value in (self.min_hz, self.max_hz, hertz))
        return (at - low) / (high - low)

    @property
    def is_even(self) -> bool:
        """Whether hertz are as far apart at one end as at the other."""
        return self._scale is FrequencyScale.LINEAR

    def rows_of(self, bin_hz: float, bins: int) -> "RowMap":
        """How spectra of so many bins, from 0 Hz on, become rows."""
        return RowMap(self._edges / bin_hz, self._centres / bin_hz, bins)


class RowMap:
    """Spectra to rows: the strongest bin within a row, or between two bins where rows are narrower than these.

    The strongest and not the mean: so a tone has its own level wherever it stands on the axis.

    Attributes:
        bins, count: of a spectrum, and of the rows.
    """

    def __init__(self, edges: NDArray[np.float64], centres: NDArray[np.float64], bins: int) -> None:
        self.bins, self.count = bins, len(centres)
        first = np.minimum(np.ceil(edges).astype(np.intp), bins)
        lengths = np.diff(first)
        # The rows that have a first bin, a second one and so on, and which that is.
        self._nth_bins = [
            (rows, first[rows] + place)
            for place in range(lengths.max(initial=0))
            if len(rows := np.flatnonzero(lengths > place))
        ]
        self._below = np.minimum(centres.astype(np.intp), bins - 2)
        self._upper_share = np.clip(centres - self._below, 0, 1).astype(np.float32)[:, None]
        # Above half of the sample rate there is nothing.
        self._beyond = centres > bins - 1

    def rows(self, power: Samples) -> Samples:
        """Shape (bins, spectra) to (rows, spectra)."""
        below, above = power[self._below], power[self._below + 1]
        rows: Samples = below + (above - below) * self._upper_share
        rows[self._beyond] = 0
        for place, (having, bins) in enumerate(self._nth_bins):
            rows[having] = power[bins] if place == 0 else np.maximum(rows[having], power[bins])
        return rows


def _points(scale: FrequencyScale, low: float, high: float, count: int) -> NDArray[np.float64]:
    match scale:
        case FrequencyScale.LINEAR:
            return np.linspace(low, high, count)
        case FrequencyScale.LOG:
            return np.geomspace(low, high, count)
        case FrequencyScale.MEL:
            mels = np.linspace(_mel(low), _mel(high), count)
            points: NDArray[np.float64] = 700 * (10 ** (mels / 2595) - 1)
            return points


def _on_scale(scale: FrequencyScale, hertz: float) -> float:
    match scale:
        case FrequencyScale.LINEAR:
            return hertz
        case FrequencyScale.LOG:
            return math.log(hertz)
        case FrequencyScale.MEL:
            return _mel(hertz)


def _mel(hertz: float) -> float:
    """O'Shaughnessy's formula, "Speech Communication" (1987)."""
    return float(2595 * np.log10(1 + hertz / 700))
