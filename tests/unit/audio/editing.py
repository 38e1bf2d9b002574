"""Signals through edits: in as a float WAV, out as one, read by an independent FFmpeg."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.engine import Extra, process
from shared.schema.operations import operations_adapter
from tests.unit.audio.independent import read
from tests.unit.audio.signals import Signal, save


def edited(
    folder: Path, signal: Signal, rate: int, *edits: dict[str, Any], extras: Mapping[str, Path] | None = None
) -> NDArray[np.float32]:
    """The signal with edits, shape (channels, frames)."""
    source = save(folder / "signal.wav", signal, rate, "pcm_f32le")
    operations = operations_adapter.validate_python(
        [{"op": "transcode", "name": "edited", "format": "wav", "bit_depth": 32, "edits": edits}]
    )
    given = {name: Extra(path, path.name) for name, path in (extras or {}).items()}
    process(source, operations, folder, extras=given)
    return read(folder / "edited.wav")


def largest_step(signal: NDArray[Any]) -> float:
    """Largest difference of neighbouring samples: what a click is."""
    return float(np.abs(np.diff(signal, axis=1)).max())
