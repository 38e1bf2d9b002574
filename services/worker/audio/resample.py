"""Another sample rate, by libsoxr at its high quality (20 bits)."""

import numpy as np
import soxr  # type: ignore[import-untyped]  # it ships no types

from services.worker.audio.pcm import Samples


class Resampler:
    """Blocks at one rate to blocks at another; passes them on untouched where the rates are the same."""

    def __init__(self, source_rate: int, target_rate: int, channels: int) -> None:
        self._channels = channels
        self._stream = (
            None
            if source_rate == target_rate
            else soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32", quality="HQ")
        )

    @property
    def changes_samples(self) -> bool:
        """False where the block comes back as it is."""
        return self._stream is not None

    def resample(self, samples: Samples) -> Samples:
        """Shape (channels, frames) to (channels, other frames): not all of what belongs to them, see flush."""
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples.T))
        return resampled.T

    def flush(self) -> Samples:
        """What the filter still holds at the end."""
        if self._stream is None:
            return np.zeros((self._channels, 0), np.float32)
        rest: Samples = self._stream.resample_chunk(np.zeros((0, self._channels), np.float32), last=True)
        return rest.T
