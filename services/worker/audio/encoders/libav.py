"""FLAC, Opus, AAC and WAV by FFmpeg's libraries, in process."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av import AudioFrame
from numpy.typing import NDArray

from services.worker.audio.encoders.base import Encoder
from services.worker.audio.encoders.plan import Plan
from services.worker.audio.encoders.quantise import Quantiser
from services.worker.audio.pcm import PLANES_PYAV_CAN_COUNT, Samples
from shared.schema.operations import AudioFormat

_Pack = Callable[[Samples], NDArray[Any]]

_CONTAINERS: dict[AudioFormat, tuple[str, Literal["libopus", "aac", "flac", "pcm_s16le"], dict[str, str]]] = {
    AudioFormat.OPUS: ("ogg", "libopus", {}),
    AudioFormat.AAC: ("ipod", "aac", {"movflags": "+faststart"}),
    AudioFormat.FLAC: ("flac", "flac", {}),
    # A WAV of more than 4 GiB is written as RF64.
    AudioFormat.WAV: ("wav", "pcm_s16le", {"rf64": "auto"}),
}


class LibavEncoder(Encoder):
    """One output container with one audio stream."""

    def __init__(self, path: Path, plan: Plan, *, dither: bool) -> None:
        container, codec, options = _CONTAINERS[plan.format]
        self._plan = plan
        self._written = 0
        self._format, self._pack = _packing(plan, dither=dither)
        if plan.format is AudioFormat.AAC:
            # The edit list, which cuts off the encoder's padding, counts in these; the default is milliseconds.
            options = {**options, "movie_timescale": str(plan.sample_rate)}
        self._container = av.open(str(path), "w", format=container, container_options=options)
        self._stream = self._container.add_stream(codec, plan.sample_rate, layout=plan.layout)
        # AAC is encoded from planes; PyAV converts where it is given packed samples.
        self._stream.format = "fltp" if plan.format is AudioFormat.AAC else self._format
        if plan.bitrate_kbps is not None:
            self._stream.bit_rate = plan.bitrate_kbps * 1000

    def write(self, samples: Samples) -> None:
        """See Encoder."""
        frame = AudioFrame.from_ndarray(self._pack(samples), self._format, self._plan.layout)
        frame.sample_rate = self._plan.sample_rate
        frame.pts = self._written
        self._written += samples.shape[1]
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """See Encoder."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """See Encoder."""
        with contextlib.suppress(Exception):
            self._container.close()


def _packing(plan: Plan, *, dither: bool) -> tuple[str, _Pack]:
    """FFmpeg's sample format, and how samples come into the shape that PyAV wants for it."""
    if plan.format is AudioFormat.AAC and len(plan.channels) < PLANES_PYAV_CAN_COUNT:
        return "fltp", np.ascontiguousarray
    if plan.format in {AudioFormat.AAC, AudioFormat.OPUS}:
        return "flt", _interleave
    quantiser = Quantiser(plan.bits, len(plan.channels), dither=dither)
    if plan.bits == 16:
        return "s16", lambda samples: quantiser.quantise(samples).reshape(1, -1)
    # FFmpeg's FLAC encoder takes 24 bits as the upper bits of 32.
    return "s32", lambda samples: quantiser.quantise(samples).reshape(1, -1) << 8


def _interleave(samples: Samples) -> Samples:
    return np.ascontiguousarray(samples.T).reshape(1, -1)
