"""Loudness normalisation: the gain that brings what is written to the target, and what stands in its way."""

from dataclasses import dataclass

from services.worker.audio.loudness import Measurement
from shared.schema.operations import LOSSY_FORMATS, Normalize

_GOOD_ENOUGH_LU = 0.05
_REACHED_LU = 0.1
# Lossy encoders at the lowest bit rates are not to be brought nearer by any number of corrections.
_MOST_CORRECTIONS = {False: 2, True: 5}
# LU that a decibel of gain brings behind a limiter, until two attempts tell; and what is not worth the damage that
# it does to the sound.
_LIKELY_SLOPE = 0.8
_LEAST_SLOPE = 0.25
_MOST_OVERDRIVE_DB = 6.0


@dataclass(frozen=True)
class Gain:
    """One gain for all of the audio.

    Attributes:
        db: the gain.
        limited: the peaks that it takes over the ceiling are limited.
        stopped: the ceiling made it smaller than the target asked.
    """

    db: float
    limited: bool = False
    stopped: bool = False


class GainSearch:
    """A first gain by arithmetic, and others by the loudness that came of it.

    Lossy encoders leave out what they hold to be inaudible, and what they write is quieter: by some tenths of a LU
    for speech at common bit rates, more for noise. A limiter takes loudness away with the peaks. The ceiling holds
    for what is given to the encoder.

    Attributes:
        gain: the latest.
    """

    def __init__(self, measured: Measurement, operation: Normalize) -> None:
        self._operation = operation
        self._is_lossy = operation.format in LOSSY_FORMATS
        self._written: list[tuple[float, float]] = []
        self._loudness, self._peak = measured.integrated_lufs, measured.true_peak_dbtp
        # Silence, whose loudness is not a number, stays as it is.
        self.gain = Gain(0.0) if self._loudness is None else self._within(operation.target_lufs - self._loudness)

    @property
    def needs_measuring(self) -> bool:
        """Whether arithmetic alone does not tell how loud the file will be."""
        return self._loudness is not None and (self._is_lossy or self.gain.limited)

    def correct(self, written_lufs: float | None) -> bool:
        """Change the gain by the loudness that was measured of the file; False where it is as near as it gets."""
        if written_lufs is None or len(self._written) == _MOST_CORRECTIONS[self.gain.limited]:
            return False
        missing = self._operation.target_lufs - written_lufs
        self._written.append((self.gain.db, written_lufs))
        slope = self._slope()
        if missing > 0 and slope < _LEAST_SLOPE:
            return False
        corrected = self._within(self.gain.db + missing / max(slope, _LEAST_SLOPE))
        if abs(missing) <= _GOOD_ENOUGH_LU or abs(corrected.db - self.gain.db) <= _GOOD_ENOUGH_LU:
            return False
        self.gain = corrected
        return True

    def is_short_of_the_target(self, written_lufs: float | None) -> bool:
        """Whether the ceiling kept the file from the target."""
        if self.gain.limited:
            return written_lufs is not None and self._operation.target_lufs - written_lufs > _REACHED_LU
        return self.gain.stopped

    def _slope(self) -> float:
        """LU that a decibel of gain brings."""
        if not self.gain.limited:
            return 1.0
        if len(self._written) < 2:
            return _LIKELY_SLOPE
        (gain, lufs), (other_gain, other_lufs) = self._written[-2:]
        return min(1.0, (other_lufs - lufs) / (other_gain - gain))

    def _within(self, wanted: float) -> Gain:
        if self._peak is None or self._loudness is None:
            return Gain(0.0)
        headroom = self._operation.true_peak_dbtp - self._peak
        if wanted <= headroom:
            return Gain(wanted)
        if self._operation.limiter:
            most = self._operation.target_lufs - self._loudness + _MOST_OVERDRIVE_DB
            return Gain(min(wanted, most), limited=True)
        return Gain(headroom, stopped=True)
