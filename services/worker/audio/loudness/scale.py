"""Power and loudness, one from the other."""

import math

# BS.1770-4, formula 2: the 0.691 takes back the gain of the weighting filter at 1 kHz.
_OFFSET_DB = -0.691


def to_lufs(power: float) -> float:
    """Loudness of a weighted mean square, LUFS."""
    return _OFFSET_DB + 10 * math.log10(power) if power > 0 else -math.inf


def to_power(lufs: float) -> float:
    """Weighted mean square of a loudness."""
    return float(10 ** ((lufs - _OFFSET_DB) / 10))
