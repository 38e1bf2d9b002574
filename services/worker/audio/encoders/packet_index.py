"""The index of an M4A file, of packets that FFmpeg does not know of.

FFmpeg's MP4 muxer keeps 64 bytes for each packet in memory until the end, which is 100 MB for ten hours of AAC at
44.1 kHz. So it is given bundles of packets as if they were packets, and at the end, when the index is brought to the
front of the file, the index is told what is in the bundles; that takes 4 bytes a packet.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby

from av import Packet
from av.audio.stream import AudioStream

from services.worker.audio.encoders.boxes import Box, full_box, numbers, packed
from services.worker.audio.encoders.fast_start import chunk_offsets
from services.worker.audio.source import AudioPacket

_BUNDLE_PACKETS = 64
_SAMPLE_DESCRIPTION = 1


class PacketIndex:
    """Makes bundles of packets, and an index of packets from one of bundles."""

    def __init__(self, stream: AudioStream) -> None:
        self._stream = stream
        self._sizes = array("I")
        # How many packets in a row have which duration.
        self._runs: list[tuple[int, int]] = []
        self._waiting: list[AudioPacket] = []

    def bundle(self, packets: Iterable[AudioPacket], *, rest: bool = False) -> Iterator[AudioPacket]:
        """Whole bundles of what was given until now; with `rest`, all of it."""
        for packet in packets:
            self._note(packet)
            self._waiting.append(packet)
            if len(self._waiting) == _BUNDLE_PACKETS:
                yield self._bundled()
        if rest and self._waiting:
            yield self._bundled()

    def complete(self, table: Box) -> None:
        """Make a sample table of bundles one of packets, once there are no more.

        Its boxes are those of ISO/IEC 14496-12, 8.6.1.2, 8.7.3, 8.7.4 and 8.9.2.
        """
        packets = len(self._sizes)
        table[b"stts"].content = full_box(len(self._runs), *(number for run in self._runs for number in run))
        table[b"stsz"].content = self._packed_sizes()
        table[b"stsc"].content = _packets_of_chunks(table, packets)
        for group in (box for box in table.boxes if box.kind == b"sbgp"):
            # All packets are of the group that all bundles were of.
            (one, _, description) = numbers(group.content[8:])
            group.content = group.content[:8] + packed(one, packets, description)

    def _packed_sizes(self) -> bytes:
        if len(set(self._sizes)) == 1:
            # Not only shorter: of a track of a single sample, FFmpeg's reader knows the size by this alone.
            return full_box(self._sizes[0], len(self._sizes))
        if sys.byteorder == "little":
            self._sizes.byteswap()
        return b"".join((full_box(0, len(self._sizes)), memoryview(self._sizes)))

    def _note(self, packet: AudioPacket) -> None:
        self._sizes.append(packet.size)
        duration = packet.duration or 0
        if self._runs and self._runs[-1][1] == duration:
            self._runs[-1] = (self._runs[-1][0] + 1, duration)
        else:
            self._runs.append((1, duration))

    def _bundled(self) -> AudioPacket:
        first, packets = self._waiting[0], self._waiting
        bundle: AudioPacket = Packet(b"".join(map(bytes, packets)))  # type: ignore[assignment]  # as in decode.py
        bundle.stream = self._stream
        bundle.pts, bundle.dts, bundle.time_base = first.pts, first.dts, first.time_base
        bundle.duration = sum(packet.duration or 0 for packet in packets)
        bundle.is_keyframe = True
        self._waiting = []
        return bundle


def _packets_of_chunks(table: Box, packets: int) -> bytes:
    """How many packets each chunk has: of bundles that are full, but for the last."""
    (chunks,) = numbers(chunk_offsets(table).content[4:8])
    _, *runs = numbers(table[b"stsc"].content[4:])
    firsts, bundles = runs[0::3], runs[1::3]
    counts: list[int] = []
    for first, behind, count in zip(firsts, (*firsts[1:], chunks + 1), bundles, strict=True):
        counts += [count * _BUNDLE_PACKETS] * (behind - first)
    counts[-1] += packets - sum(counts)
    entries, chunk = [], 1
    for count, same in groupby(counts):
        entries += [chunk, count, _SAMPLE_DESCRIPTION]
        chunk += len(list(same))
    return full_box(len(entries) // 3, *entries)
