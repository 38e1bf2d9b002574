"""Float samples to integers, with dither where bits are lost."""

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Samples

_SEED = 0x5AFE


class Quantiser:
    """Samples of full scale 1.0 to 16 or 24-bit integers, interleaved. Digital silence stays silence."""

    def __init__(self, bits: int, channels: int, *, dither: bool) -> None:
        self._scale = np.float32(2 ** (bits - 1))
        self._range = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        self._type = np.int16 if bits == 16 else np.int32
        self._dither = _Dither(channels) if dither else None

    def quantise(self, samples: Samples) -> NDArray[np.signedinteger]:
        """Shape (channels, frames) to (frames, channels)."""
        scaled = samples * self._scale
        if self._dither is not None and samples.any():
            scaled += self._dither.noise(samples.shape[1])
        np.rint(scaled, out=scaled)
        np.clip(scaled, *self._range, out=scaled)
        integers = np.empty((samples.shape[1], samples.shape[0]), self._type)
        np.copyto(integers, scaled.T, casting="unsafe")
        return integers


class _Dither:
    """Triangular noise of two steps peak to peak, which makes the rounding error independent of the signal.

    After Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither" (1992): each value is the difference of
    two consecutive uniform ones, which moves the noise up in frequency. The seed is fixed: the same input gives
    the same file.
    """

    def __init__(self, channels: int) -> None:
        self._random = np.random.Generator(np.random.SFC64(_SEED))
        self._last = np.zeros((channels, 1), np.float32)

    def noise(self, frames: int) -> Samples:
        """Shape (channels, frames), in steps."""
        channels = len(self._last)
        raw = np.frombuffer(self._random.bytes(2 * channels * frames), np.uint16).reshape(channels, frames)
        uniform = np.empty((channels, frames + 1), np.float32)
        uniform[:, :1] = self._last
        np.multiply(raw, np.float32(2**-16), out=uniform[:, 1:])
        self._last = uniform[:, -1:].copy()
        return uniform[:, 1:] - uniform[:, :-1]
