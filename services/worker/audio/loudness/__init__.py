"""Loudness after ITU-R BS.1770-4, EBU R128, Tech 3341 (meter) and Tech 3342 (range)."""

from services.worker.audio.loudness.meter import LoudnessMeter, Measurement, measure_together
from services.worker.audio.loudness.replay_gain import gains
from services.worker.audio.loudness.series import Series, write_series

__all__ = ["LoudnessMeter", "Measurement", "Series", "gains", "measure_together", "write_series"]
