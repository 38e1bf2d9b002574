"""AAC and ALAC in M4A files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from services.worker.audio.encoders.boxes import Box
from services.worker.audio.encoders.fast_start import bring_index_to_front, sample_tables
from services.worker.audio.encoders.freeform import add_freeform_tags
from services.worker.audio.encoders.libav import LibavEncoder
from services.worker.audio.encoders.packet_index import PacketIndex
from services.worker.audio.encoders.plan import Plan
from services.worker.audio.encoders.tagging import Labels
from services.worker.audio.source import AudioPacket
from shared.schema.operations import AudioFormat

_SAFE_ALAC_CHANNELS = 2
_LEAST_ALAC_SAMPLES = 3


class M4aEncoder(LibavEncoder):
    """An M4A file: the index in front, with tags that FFmpeg does not write."""

    def __init__(self, path: Path, plan: Plan, labels: Labels, *, dither: bool) -> None:
        super().__init__(path, plan, labels, dither=dither)
        self._labels = labels
        self._index = PacketIndex(self._stream)

    def _mux(self, packets: Sequence[AudioPacket], *, rest: bool = False) -> None:
        for bundle in self._index.bundle(packets, rest=rest):
            self._container.mux(bundle)

    def _close(self) -> None:
        if missing := self._samples_short_of_a_last_frame():
            self._encode(self._pack(np.zeros((len(self._plan.channels), missing), np.float32)))
        super()._close()
        if self._written:
            bring_index_to_front(self._path, self._change)

    def _change(self, movie: Box) -> None:
        self._index.complete(sample_tables(movie)[0])
        add_freeform_tags(movie, self._labels.loudness)

    def _samples_short_of_a_last_frame(self) -> int:
        """From three channels up, FFmpeg 8.1's ALAC encoder ends the process at a last frame of one sample or two."""
        if self._plan.format is not AudioFormat.ALAC or len(self._plan.channels) <= _SAFE_ALAC_CHANNELS:
            return 0
        last = self._written % self._stream.codec_context.frame_size
        return _LEAST_ALAC_SAMPLES - last if 0 < last < _LEAST_ALAC_SAMPLES else 0
