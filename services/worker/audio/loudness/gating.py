"""From the power of 10 ms steps to integrated loudness, momentary and short-term maxima, and loudness range."""

import math
from array import array

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.loudness.scale import to_lufs, to_power

STEPS_A_SECOND = 100
_MOMENTARY_STEPS = 40
_SHORT_TERM_STEPS = 300
# A gating block starts every 100 ms (75 % overlap), and so does a value of the range.
STEPS_A_HOP = 10
_ABSOLUTE_GATE_LUFS = -70.0
_INTEGRATED_GATE_LU = -10.0
_RANGE_GATE_LU = -20.0
_RANGE_PERCENTILES = (0.10, 0.95)


class Gating:
    """Takes the weighted mean square of consecutive 10 ms steps, and keeps 16 bytes for each 100 ms.

    Attributes:
        momentary_max, short_term_max: the largest power of 400 ms and of 3 s.
        short_terms: power of each 3 s, every 100 ms.
    """

    def __init__(self) -> None:
        self._recent: NDArray[np.float64] = np.empty(0)
        self._steps = 0
        self._blocks = array("d")
        self.short_terms = array("d")
        self.momentary_max = self.short_term_max = 0.0

    def add(self, powers: NDArray[np.float64]) -> None:
        """Take in steps, shape (steps,)."""
        recent = np.concatenate((self._recent, powers))
        first = self._steps - len(self._recent)
        sums = np.concatenate(((0.0,), np.cumsum(recent)))
        new = len(powers)
        momentary = _windows(sums, _MOMENTARY_STEPS, new)
        short_term = _windows(sums, _SHORT_TERM_STEPS, new)
        end = first + len(recent)
        if len(momentary):
            self.momentary_max = max(self.momentary_max, float(momentary.max()))
            self._blocks.frombytes(_on_hop(momentary, end, _MOMENTARY_STEPS).tobytes())
        if len(short_term):
            self.short_term_max = max(self.short_term_max, float(short_term.max()))
            self.short_terms.frombytes(_on_hop(short_term, end, _SHORT_TERM_STEPS).tobytes())
        self._steps = end
        self._recent = recent[-(_SHORT_TERM_STEPS - 1) :]

    def take(self, other: "Gating") -> None:
        """Take in what another has measured, as it is: no block or window reaches from the one into the other."""
        self._blocks.frombytes(other.blocks().tobytes())
        self.short_terms.extend(other.short_terms)
        self.momentary_max = max(self.momentary_max, other.momentary_max)
        self.short_term_max = max(self.short_term_max, other.short_term_max)

    def blocks(self) -> NDArray[np.float64]:
        """Power of each gating block; audio shorter than one, about which the standard says nothing, is one block."""
        return np.frombuffer(self._blocks) if self._blocks else self._recent.mean(keepdims=True)

    def windows(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weighted mean square of each 400 ms and of each 3 s, one window every 100 ms, the first from the start on."""
        return np.frombuffer(self._blocks), np.frombuffer(self.short_terms)

    @property
    def has_blocks(self) -> bool:
        """Whether there was a whole gating block of 400 ms."""
        return len(self._blocks) > 0

    def integrated_lufs(self) -> float | None:
        """Gated integrated loudness (BS.1770-4), or None where every block is below the absolute gate."""
        blocks = self.blocks()
        # Told by a mask, not copied: of ten hours they are 3 MB.
        is_loud = blocks > to_power(_ABSOLUTE_GATE_LUFS)
        if not is_loud.any():
            return None
        is_loud &= blocks > float(blocks.mean(where=is_loud)) * 10 ** (_INTEGRATED_GATE_LU / 10)
        return to_lufs(float(blocks.mean(where=is_loud)))

    def range_lu(self) -> float:
        """Loudness range (Tech 3342), 0 for audio of less than 3 s."""
        values = np.frombuffer(self.short_terms) if self.short_terms else np.empty(0)
        is_loud = values > to_power(_ABSOLUTE_GATE_LUFS)
        if not is_loud.any():
            return 0.0
        is_loud &= values > float(values.mean(where=is_loud)) * 10 ** (_RANGE_GATE_LU / 10)
        gated = values[is_loud]
        gated.sort()
        low, high = (gated[math.floor((len(gated) - 1) * share + 0.5)] for share in _RANGE_PERCENTILES)
        return to_lufs(float(high)) - to_lufs(float(low))

    def momentary_max_lufs(self) -> float | None:
        """Loudest 400 ms, in steps of 10 ms; None for silence and for less than 400 ms."""
        return to_lufs(self.momentary_max) if self.momentary_max > 0 else None

    def short_term_max_lufs(self) -> float | None:
        """Loudest 3 s, in steps of 10 ms; None for silence and for less than 3 s."""
        return to_lufs(self.short_term_max) if self.short_term_max > 0 else None


def _windows(sums: NDArray[np.float64], length: int, new: int) -> NDArray[np.float64]:
    """Mean power of each window of `length` steps that ends with one of the last `new` steps."""
    count = min(new, len(sums) - length)
    if count <= 0:
        return np.empty(0)
    ends = len(sums) - count
    # A difference of sums may fall below zero by rounding after something very loud.
    return np.maximum(sums[ends:] - sums[ends - length : len(sums) - length], 0.0) / length


def _on_hop(windows: NDArray[np.float64], end: int, length: int) -> NDArray[np.float64]:
    """Those of consecutive windows, the last ending at step `end`, that start at a multiple of the hop."""
    first_start = end - len(windows) + 1 - length
    return windows[-first_start % STEPS_A_HOP :: STEPS_A_HOP]
