"""Channel layouts, and how a layout becomes another: the down-mix coefficients.

Names are FFmpeg's: FL FR FC LFE BL BR BC SL SR.
"""

import math
from collections.abc import Sequence

import numpy as np

from services.worker.audio.pcm import Samples

MINUS_3_DB = math.sqrt(0.5)

STANDARD_LAYOUTS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("mono", ("FC",)),
    2: ("stereo", ("FL", "FR")),
    3: ("3.0", ("FL", "FR", "FC")),
    4: ("quad", ("FL", "FR", "BL", "BR")),
    5: ("5.0", ("FL", "FR", "FC", "BL", "BR")),
    6: ("5.1", ("FL", "FR", "FC", "LFE", "BL", "BR")),
    7: ("6.1", ("FL", "FR", "FC", "LFE", "BC", "SL", "SR")),
    8: ("7.1", ("FL", "FR", "FC", "LFE", "BL", "BR", "SL", "SR")),
}
"""Channels to (FFmpeg's layout name, channel names): the order that FLAC, Opus, AAC and WAV all write."""

# Where a channel goes when the target has no place for it: the first row whose targets all exist is taken.
# Coefficients after ITU-R BS.775-3: 3 dB down for the centre and the surrounds. The LFE is left out, as there.
_FOLD: dict[str, tuple[tuple[float, tuple[str, ...]], ...]] = {
    "FC": ((MINUS_3_DB, ("FL", "FR")),),
    "FL": ((1.0, ("FC",)),),
    "FR": ((1.0, ("FC",)),),
    "SL": ((1.0, ("BL",)), (MINUS_3_DB, ("FL",))),
    "SR": ((1.0, ("BR",)), (MINUS_3_DB, ("FR",))),
    "BL": ((1.0, ("SL",)), (MINUS_3_DB, ("FL",))),
    "BR": ((1.0, ("SR",)), (MINUS_3_DB, ("FR",))),
    "BC": ((MINUS_3_DB, ("BL", "BR")), (MINUS_3_DB, ("SL", "SR")), (0.5, ("FL", "FR"))),
    "FLC": ((1.0, ("FL",)),),
    "FRC": ((1.0, ("FR",)),),
    "DL": ((1.0, ("FL",)),),
    "DR": ((1.0, ("FR",)),),
}


def is_same_layout(source: Sequence[str], target: Sequence[str]) -> bool:
    """Whether two layouts differ in nothing but the name of their only pair of surrounds (5.1 and 5.1(side))."""
    return _surrounds_as_back(source) == _surrounds_as_back(target)


def mix_matrix(source: Sequence[str], target: Sequence[str]) -> Samples:
    """Coefficients from one layout to another, shape (target channels, source channels).

    A channel that both have is copied. Mono becomes each of FL and FR unchanged, and mono is made as the half
    sum of the stereo down-mix, so that a mono file and its stereo copy have the same samples. Nothing is scaled
    down against overload: a down-mix is as loud as the original, and may pass full scale.
    """
    source, target = _surrounds_as_back(source), _surrounds_as_back(target)
    if tuple(source) == ("FC",) and "FL" in target:
        matrix = np.zeros((len(target), 1), np.float32)
        matrix[[target.index("FL"), target.index("FR")]] = 1.0
        return matrix
    if tuple(target) == ("FC",):
        mono: Samples = mix_matrix(source, ("FL", "FR")).mean(axis=0, keepdims=True)
        return mono
    matrix = np.zeros((len(target), len(source)), np.float32)
    for column, channel in enumerate(source):
        if channel in target:
            matrix[target.index(channel), column] = 1.0
            continue
        for coefficient, places in _FOLD.get(channel, ()):
            if all(place in target for place in places):
                # A pair of surrounds that joins another pair is taken 3 dB down, as FFmpeg does it.
                shared = places[0] in source and places[0] in {"BL", "BR", "SL", "SR"} and len(places) == 1
                for place in places:
                    matrix[target.index(place), column] = MINUS_3_DB if shared else coefficient
                break
    return matrix


def _surrounds_as_back(channels: Sequence[str]) -> tuple[str, ...]:
    if "BL" in channels or "BC" in channels or "SL" not in channels:
        return tuple(channels)
    return tuple({"SL": "BL", "SR": "BR"}.get(channel, channel) for channel in channels)


class Mixer:
    """Blocks of one layout to blocks of another."""

    def __init__(self, source: Sequence[str], target: Sequence[str]) -> None:
        self._matrix = None if is_same_layout(source, target) else mix_matrix(source, target)

    @property
    def changes_samples(self) -> bool:
        """False where the block comes back as it is."""
        return self._matrix is not None

    def mix(self, samples: Samples) -> Samples:
        """Shape (source channels, frames) to (target channels, frames)."""
        return samples if self._matrix is None else self._matrix @ samples
