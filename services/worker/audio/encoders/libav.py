"""FLAC, Opus and WAV by FFmpeg's libraries, in process, and what AAC and ALAC have of it."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import av
import numpy as np
from av import AudioFrame

from services.worker.audio.encoders.base import Encoder, Packed
from services.worker.audio.encoders.plan import Plan
from services.worker.audio.encoders.quantise import Quantiser
from services.worker.audio.encoders.tagging import Labels, add_cover, label_container
from services.worker.audio.pcm import PLANES_PYAV_CAN_COUNT, Samples
from services.worker.audio.source import AudioPacket
from shared.schema.operations import AudioFormat

_Pack = Callable[[Samples], Packed]
_Codec = Literal["libopus", "aac", "flac", "alac", "pcm_s16le", "pcm_s24le", "pcm_f32le"]


class _Target(NamedTuple):
    """FFmpeg's names and options for a plan."""

    container: str
    codec: _Codec
    container_options: dict[str, str]
    codec_options: dict[str, str]


class LibavEncoder(Encoder):
    """One output container with one audio stream, its tags and its cover."""

    def __init__(self, path: Path, plan: Plan, labels: Labels, *, dither: bool) -> None:
        super().__init__(is_slowest=plan.format is AudioFormat.AAC)
        target = _target(plan)
        self._plan = plan
        self._path = path
        self._written = 0
        self._format, self._packing = _packing(plan, dither=dither)
        self._container = av.open(str(path), "w", format=target.container, container_options=target.container_options)
        self._stream = self._container.add_stream(
            target.codec, plan.sample_rate, options=target.codec_options, layout=plan.layout
        )
        self._stream.format = _coded_format(plan, self._format)
        if plan.bitrate_kbps is not None:
            self._stream.bit_rate = plan.bitrate_kbps * 1000
        label_container(self._container, self._stream, plan.format, labels)
        # Behind the audio stream, which players take to be the first, but written before it.
        add_cover(self._container, plan.format, labels.cover)

    def _pack(self, samples: Samples) -> Packed:
        return self._packing(samples)

    def _encode(self, packed: Packed) -> None:
        frame = AudioFrame.from_ndarray(packed, self._format, self._plan.layout)
        frame.sample_rate = self._plan.sample_rate
        frame.pts = self._written
        self._written += frame.samples
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: Sequence[AudioPacket], *, rest: bool = False) -> None:
        """Into the file; `rest`: there are no more."""
        self._container.mux(packets)

    def _close(self) -> None:
        self._mux(self._stream.encode(None), rest=True)
        self._container.close()

    def _abandon(self) -> None:
        with contextlib.suppress(Exception):
            self._container.close()


def _target(plan: Plan) -> _Target:
    match plan.format:
        case AudioFormat.OPUS:
            return _Target("ogg", "libopus", {}, {"vbr": "off" if plan.is_cbr else "on"})
        case AudioFormat.AAC | AudioFormat.ALAC:
            options = {
                # FFmpeg's own ipod muxer, which is this one with this brand, takes no cover picture from PyAV.
                "brand": "M4A ",
                # The edit list, which cuts off the encoder's padding, counts in these; the default is milliseconds.
                "movie_timescale": str(plan.sample_rate),
            }
            return _Target("mp4", "aac" if plan.format is AudioFormat.AAC else "alac", options, {})
        case AudioFormat.FLAC:
            level = plan.compression_level
            return _Target("flac", "flac", {}, {} if level is None else {"compression_level": str(level)})
        case _:
            codecs: dict[int, _Codec] = {16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_f32le"}
            # A WAV of more than 4 GiB is written as RF64.
            return _Target("wav", codecs[plan.bits], {"rf64": "auto"}, {})


def _coded_format(plan: Plan, packed: str) -> str:
    """What the encoder takes: AAC and ALAC take planes, to which PyAV converts where it is given packed samples."""
    if plan.format is AudioFormat.AAC:
        return "fltp"
    return f"{packed}p" if plan.format is AudioFormat.ALAC else packed


def _packing(plan: Plan, *, dither: bool) -> tuple[str, _Pack]:
    """FFmpeg's sample format, and how samples come into the shape that PyAV wants for it."""
    if plan.format is AudioFormat.AAC and len(plan.channels) < PLANES_PYAV_CAN_COUNT:
        return "fltp", np.ascontiguousarray
    if plan.format in {AudioFormat.AAC, AudioFormat.OPUS} or plan.bits == 32:
        return "flt", _interleave
    quantiser = Quantiser(plan.bits, len(plan.channels), dither=dither)
    if plan.bits == 16:
        return "s16", lambda samples: quantiser.quantise(samples).reshape(1, -1)
    # FFmpeg takes 24 bits as the upper bits of 32.
    return "s32", lambda samples: quantiser.quantise(samples).reshape(1, -1) << 8


def _interleave(samples: Samples) -> Samples:
    return np.ascontiguousarray(samples.T).reshape(1, -1)
