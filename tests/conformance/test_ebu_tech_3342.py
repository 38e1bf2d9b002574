"""EBU Tech 3342 (version 4), table 1: test signals for the loudness range, cases 1 to 4; 5 and 6 are recordings."""

from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from shared.schema.operations import Loudness
from shared.schema.results import LoudnessResult
from tests.unit.audio.signals import save, sine

RATE = 48_000


@pytest.mark.parametrize(
    ("case", "levels", "expected"),
    [(1, (-20, -30), 10), (2, (-20, -15), 5), (3, (-40, -20), 20), (4, (-50, -35, -20, -35, -50), 15)],
)
def test_loudness_range(tmp_path: Path, case: int, levels: tuple[float, ...], expected: float) -> None:
    signal = np.concatenate([sine(1000, level, 20, RATE) for level in levels], axis=1)
    source = save(tmp_path / "a.wav", signal, RATE, "pcm_s24le")
    result = process(source, (Loudness(),), tmp_path).results["loudness"]
    assert isinstance(result, LoudnessResult)
    assert result.range_lu == pytest.approx(expected, abs=1)
