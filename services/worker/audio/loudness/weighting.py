"""The K-weighting filter and the channel weights of ITU-R BS.1770-4."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SURROUND_WEIGHT = 1.41
_SURROUNDS = frozenset({"SL", "SR", "SDL", "SDR"})
_BACKS = frozenset({"BL", "BR"})
_SHELF_HZ = 1681.974450955533
_HIGH_PASS_HZ = 38.13547087602444
_ALL_PASSES = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]


def channel_weights(channels: Sequence[str], *, dual_mono: bool = False) -> NDArray[np.float64]:
    """Weight of each channel by BS.1770-4, table 3 and annex 3: shape (channels,).

    Surrounds (60 to 120 degrees) weigh 1.41, the LFE nothing, all else 1. Where there is only one pair behind
    the front, as in 5.1 or quad, it is the pair of surrounds, whatever its name. The only channel of mono weighs 2
    with `dual_mono`: it will come from two speakers.
    """
    if dual_mono and len(channels) == 1:
        return np.array([2.0])
    surrounds = _SURROUNDS if _SURROUNDS & set(channels) else _BACKS
    return np.array(
        [0.0 if name.startswith("LFE") else _SURROUND_WEIGHT if name in surrounds else 1.0 for name in channels]
    )


def k_weighting(sample_rate: int) -> NDArray[np.float64]:
    """The two biquads of BS.1770-4, annex 1, as second-order sections: shape (2, 6).

    The recommendation gives coefficients for 48 kHz only. These are the analogue prototypes behind them
    (after Brecht De Man, "Evaluation of implementations of the EBU R128 loudness measurement", 2018), taken to
    any rate by the bilinear transform; at 48 kHz they are the recommendation's, to its last digits. A rate that is
    too low to hold a filter's corner has nothing that it would change: that one then lets all pass.
    """
    shelf = _high_shelf(sample_rate) if sample_rate > 2 * _SHELF_HZ else _ALL_PASSES
    high_pass = _high_pass(sample_rate) if sample_rate > 2 * _HIGH_PASS_HZ else _ALL_PASSES
    return np.array([shelf, high_pass])


def _high_shelf(sample_rate: int) -> list[float]:
    gain_db, quality = 3.999843853973347, 0.7071752369554196
    k = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    norm = 1 + k / quality + k * k
    return [
        (high + band * k / quality + k * k) / norm,
        2 * (k * k - high) / norm,
        (high - band * k / quality + k * k) / norm,
        1.0,
        2 * (k * k - 1) / norm,
        (1 - k / quality + k * k) / norm,
    ]


def _high_pass(sample_rate: int) -> list[float]:
    quality = 0.5003270373238773
    k = math.tan(math.pi * _HIGH_PASS_HZ / sample_rate)
    norm = 1 + k / quality + k * k
    return [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / norm, (1 - k / quality + k * k) / norm]
