"""Gain that rises and falls: fades at the ends of the audio, and from one sound into another."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.edits.hold import Hold
from services.worker.audio.pcm import Samples
from shared.schema.edits import FadeCurve

_Positions = NDArray[np.float64]

# Of FFmpeg's afade under the names tri, qsin and exp; the last rises from -100 dB.
_CURVES: dict[FadeCurve, Callable[[_Positions], _Positions]] = {
    FadeCurve.LINEAR: lambda position: position,
    FadeCurve.QUARTER_SINE: lambda position: np.sin(position * (np.pi / 2)),
    FadeCurve.EXPONENTIAL: lambda position: np.exp(np.log(1e-5) * (1 - position)),
}


def fade(stream: Iterator[Samples], into: int, out_of: int, curve: FadeCurve, hold: Hold) -> Iterator[Samples]:
    """Fade in over the first frames and out over the last, or over all where there are fewer.

    The gain rises from the curve's 0 at the first frame, and is 1 again from frame `into` on. It falls from 1 at the
    first of the last `out_of` frames, and would be the curve's 0 at the frame behind the end.
    """
    position = 0
    for samples in stream:
        frames = samples.shape[1]
        faded = samples * _gains(curve, position, frames, into) if position < into else samples
        position += frames
        hold.put(faded)
        yield from hold.take(hold.frames - out_of)
    length, position = hold.frames, 0
    for samples in hold.take(length):
        frames = samples.shape[1]
        yield samples * _gains(curve, length - position, frames, length, step=-1)
        position += frames


def crossfade(outgoing: Samples, incoming: Samples, position: int, length: int) -> Samples:
    """One fading into the other at equal power: the frames from `position` on of a cross-fade of `length` frames."""
    frames = outgoing.shape[1]
    rising = _gains(FadeCurve.QUARTER_SINE, position, frames, length)
    falling = _gains(FadeCurve.QUARTER_SINE, length - position, frames, length, step=-1)
    mixed: Samples = outgoing * falling + incoming * rising
    return mixed


def _gains(curve: FadeCurve, first: int, frames: int, length: int, *, step: int = 1) -> Samples:
    """Gains of consecutive frames of a fade, shape (frames,); beyond its ends, those of its ends."""
    positions = (first + step * np.arange(frames)) / length
    return _CURVES[curve](np.clip(positions, 0.0, 1.0)).astype(np.float32)
