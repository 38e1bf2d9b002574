"""Loudness over time, and the files that have it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.loudness.scale import to_lufs
from shared.schema.operations import SeriesFormat

# Windows of 400 ms and of 3 s, which end at multiples of 100 ms.
_MOMENTARY_HOPS = 4
_SHORT_TERM_HOPS = 30


@dataclass(frozen=True)
class Series:
    """Momentary and short-term loudness every 100 ms, or the nearest to it that is a whole number of samples.

    Attributes:
        interval_seconds: from one value to the next.
        momentary, short_term: weighted mean square of each window, the first of which begins with the audio.
    """

    interval_seconds: float
    momentary: NDArray[np.float64]
    short_term: NDArray[np.float64]

    def rows(self) -> Iterator[tuple[float, float | None, float | None]]:
        """Seconds at the end of each 400 ms, momentary and short-term loudness there; None for silence and no 3 s."""
        for number, momentary in enumerate(self.momentary):
            before = number - (_SHORT_TERM_HOPS - _MOMENTARY_HOPS)
            short_term = self.short_term[before] if 0 <= before < len(self.short_term) else 0.0
            yield (number + _MOMENTARY_HOPS) * self.interval_seconds, _level(momentary), _level(short_term)


def write_series(path: Path, series: Series, form: SeriesFormat) -> None:
    """Write a series as CSV, or as JSON with the same names.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", encoding="ascii", newline="") as file:
        if form is SeriesFormat.CSV:
            _write_csv(file, series)
        else:
            _write_json(file, series)


def _write_csv(file: TextIO, series: Series) -> None:
    file.write("seconds,momentary_lufs,short_term_lufs\r\n")
    for seconds, *levels in series.rows():
        momentary, short_term = ("" if level is None else f"{level:.2f}" for level in levels)
        file.write(f"{seconds:.6f},{momentary},{short_term}\r\n")


def _write_json(file: TextIO, series: Series) -> None:
    file.write(f'{{"interval_seconds":{series.interval_seconds:.9g},"values":[')
    comma = ""
    for seconds, *levels in series.rows():
        momentary, short_term = ("null" if level is None else f"{level:.2f}" for level in levels)
        value = f'"seconds":{seconds:.6f},"momentary_lufs":{momentary},"short_term_lufs":{short_term}'
        file.write(f"{comma}{{{value}}}")
        comma = ","
    file.write("]}\n")


def _level(power: float) -> float | None:
    lufs = to_lufs(power)
    return lufs if math.isfinite(lufs) else None
