"""Noise turned down by FFmpeg's filter afftdn: spectral subtraction in windows of 37.5 ms."""

from collections.abc import Iterator
from fractions import Fraction

import av.error
import numpy as np
from av import AudioFrame
from av.filter import Graph

from services.worker.audio.errors import SampleRateTooLow
from services.worker.audio.layouts import STANDARD_LAYOUTS
from services.worker.audio.pcm import PLANES_PYAV_CAN_COUNT, Pcm, Samples
from shared.schema.edits import Denoise

# afftdn's own default, from where it starts to look for the level.
_FIRST_GUESS_DBFS = -50.0
# afftdn refuses less than 80 Hz; up to this its bands are too few to tell noise from sound.
_LEAST_RATE = 1000


def denoise(stream: Iterator[Samples], pcm: Pcm, asked: Denoise) -> Iterator[Samples]:
    """The audio with its steady noise turned down, each sample where it was.

    Raises:
        SampleRateTooLow: there is no spectrum to speak of.
    """
    if pcm.sample_rate < _LEAST_RATE:
        raise SampleRateTooLow(f"Noise cannot be found in audio of {pcm.sample_rate} Hz: leave denoise out.")
    # afftdn goes on in steps of an eightieth of a second and is two of them late, without saying so in its timestamps.
    latency = 2 * (pcm.sample_rate // 80)
    filters = [_Filter(pcm, channels, asked) for channels in _groups(len(pcm.channels))]
    left_out, frames, given = latency, 0, 0
    for samples in stream:
        frames += samples.shape[1]
        for cleaned in _run(filters, samples):
            kept = cleaned[:, left_out:]
            left_out = max(0, left_out - cleaned.shape[1])
            given += kept.shape[1]
            if kept.shape[1]:
                yield kept
    for cleaned in _run(filters, np.zeros((len(pcm.channels), latency), np.float32), last=True):
        kept = cleaned[:, left_out:][:, : frames - given]
        left_out = max(0, left_out - cleaned.shape[1])
        given += kept.shape[1]
        if kept.shape[1]:
            yield kept


def _groups(channels: int) -> list[slice]:
    """Channels that one graph can take at once."""
    size = channels if channels < PLANES_PYAV_CAN_COUNT else PLANES_PYAV_CAN_COUNT // 2
    return [slice(start, min(start + size, channels)) for start in range(0, channels, size)]


def _run(filters: "list[_Filter]", samples: Samples, *, last: bool = False) -> Iterator[Samples]:
    """A block through the filters of all channels, which are equally late."""
    parts = [each.run(samples, last=last) for each in filters]
    for pieces in zip(*parts, strict=True):
        yield np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


class _Filter:
    """A graph of afftdn alone, for some of the channels."""

    def __init__(self, pcm: Pcm, channels: slice, asked: Denoise) -> None:
        self._channels = channels
        self._rate = pcm.sample_rate
        # The filter does the same to every channel: what the layout is called does not matter, but how many it has.
        self._layout = STANDARD_LAYOUTS[channels.stop - channels.start][0]
        self._sent = 0
        followed = asked.noise_floor_dbfs is None
        options = {
            "noise_reduction": str(asked.reduction_db),
            "noise_floor": str(_FIRST_GUESS_DBFS if followed else asked.noise_floor_dbfs),
            "track_noise": str(int(followed)),
        }
        # Its parts do not keep it alive.
        self._graph = graph = Graph()
        # What there is to share is too little for threads.
        graph.threads = 1
        self._source = graph.add_abuffer(
            sample_rate=self._rate, format="fltp", layout=self._layout, time_base=Fraction(1, self._rate)
        )
        self._sink = graph.add("abuffersink")
        graph.link_nodes(self._source, graph.add("afftdn", **options), self._sink).configure()

    def run(self, samples: Samples, *, last: bool) -> list[Samples]:
        """What comes out for a block, in pieces."""
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[self._channels]), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._sent, Fraction(1, self._rate)
        self._sent += frame.samples
        self._source.push(frame)
        if last:
            self._source.push(None)
        pieces: list[Samples] = []
        while True:
            try:
                cleaned = self._sink.pull()
            except (BlockingIOError, av.error.EOFError):
                return pieces
            if isinstance(cleaned, AudioFrame):
                pieces.append(cleaned.to_ndarray().astype(np.float32, copy=False))
