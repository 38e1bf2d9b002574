"""The little of MPEG audio framing (ISO/IEC 11172-3, 13818-7) that is needed to tell where a stream ends."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_BITRATES = {
    # kbit/s by (is MPEG-1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
# By the header's version bits: MPEG-1, MPEG-2 has half of its rates, MPEG-2.5 a quarter.
_RATE_SHIFTS = {3: 0, 2: 1, 0: 2}
_HEADER_SEARCH_BYTES = 1 << 16


@dataclass(frozen=True)
class FrameHeader:
    """The four bytes in front of each MPEG audio frame."""

    data: bytes
    is_mpeg1: bool
    layer: int
    bitrate_kbps: int
    sample_rate: int
    channels: int
    padding: int

    @property
    def samples(self) -> int:
        """Samples a channel."""
        if self.layer == 1:
            return 384
        return 1152 if self.layer == 2 or self.is_mpeg1 else 576

    @property
    def length(self) -> int:
        """Bytes, header included; 0 for the free format, whose length is not in the header."""
        if self.layer == 1:
            return (12_000 * self.bitrate_kbps // self.sample_rate + self.padding) * 4
        return self.samples * 125 * self.bitrate_kbps // self.sample_rate + self.padding

    @property
    def side_info_bytes(self) -> int:
        """Bytes between the header and the main data of layer III."""
        if self.is_mpeg1:
            return 32 if self.channels == 2 else 17
        return 17 if self.channels == 2 else 9


def parse_header(data: bytes) -> FrameHeader | None:
    """The frame header at the start of `data`, or None where there is none."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)
    bitrate, rate = data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate == 15 or rate == 3:
        return None
    is_mpeg1 = version == 3
    return FrameHeader(
        data[:4],
        is_mpeg1,
        layer,
        _BITRATES[is_mpeg1, layer][bitrate],
        _RATES[rate] >> _RATE_SHIFTS[version],
        1 if data[3] >> 6 == 3 else 2,
        data[2] >> 1 & 1,
    )


def candidate_headers(sample_rate: int, channels: int) -> Iterator[FrameHeader]:
    """Layer III headers for a sample rate, without CRC and padding, by rising bit rate."""
    version, rate = next(
        (version, index)
        for version, shift in _RATE_SHIFTS.items()
        for index, base in enumerate(_RATES)
        if base >> shift == sample_rate
    )
    for bitrate in range(1, 15):
        data = bytes((0xFF, 0xE3 | version << 3, bitrate << 4 | rate << 2, 0xC0 if channels == 1 else 0x40))
        if header := parse_header(data):
            yield header


def frame_bytes(data: bytes) -> int | None:
    """Length that the header of an MPEG audio or ADTS frame gives it; None where it gives none."""
    if len(data) >= 7 and data[0] == 0xFF and data[1] & 0xF6 == 0xF0:
        return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    header = parse_header(data)
    return header.length if header and header.bitrate_kbps else None


def promised_seconds(file: BinaryIO) -> float:
    """Seconds that the Xing, Info or VBRI header of an MP3 promises; 0 without one."""
    data, header = _first_frame(file)
    if header is None:
        return 0.0
    frames, silent = _counted_frames(data, header)
    return max(0, frames * header.samples - silent) / header.sample_rate


def constant_kbps(file: BinaryIO) -> int | None:
    """The bit rate of an MP3, or None where its first frame says that it varies: LAME's tag is Info if it does not."""
    data, header = _first_frame(file)
    if header is None:
        return None
    tag = 4 + header.side_info_bytes
    if data[tag : tag + 4] == b"Xing" or data[36:40] == b"VBRI":
        return None
    # The frame of a tag has a rate of its own.
    header = parse_header(data[header.length :]) or header
    return header.bitrate_kbps or None


def _first_frame(file: BinaryIO) -> tuple[bytes, FrameHeader | None]:
    """The first frame that another follows: the bytes from there on, and its header; None where there is none."""
    file.seek(_after_id3v2(file))
    data = file.read(_HEADER_SEARCH_BYTES)
    start = data.find(b"\xff")
    while start >= 0:
        header = parse_header(data[start : start + 4])
        if header and parse_header(data[start + header.length :]):
            return data[start:], header
        start = data.find(b"\xff", start + 1)
    return b"", None


def _counted_frames(data: bytes, header: FrameHeader) -> tuple[int, int]:
    """Frames by the first frame's tag, and how many samples of them are encoder delay and padding."""
    tag = 4 + header.side_info_bytes
    if data[tag : tag + 4] in {b"Xing", b"Info"}:
        flags = int.from_bytes(data[tag + 4 : tag + 8], "big")
        if not flags & 1:
            return 0, 0
        extension = tag + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
        delays = int.from_bytes(data[extension + 21 : extension + 24], "big")
        silent = (delays >> 12) + (delays & 0xFFF) if data[extension : extension + 4].isalpha() else 0
        return int.from_bytes(data[tag + 8 : tag + 12], "big"), silent
    if data[36:40] == b"VBRI":
        return int.from_bytes(data[50:54], "big"), 0
    return 0, 0


def _after_id3v2(file: BinaryIO) -> int:
    position = 0
    while True:
        file.seek(position)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3":
            return position
        size = 0
        for byte in header[6:10]:
            size = size << 7 | byte & 0x7F
        position += 10 + size + (10 if header[5] & 0x10 else 0)


def end_of_audio(file: BinaryIO, size: int) -> int:
    """Where the tags at the end of an MP3 begin: ID3v1, APE, Lyrics3, in any order that is found."""
    end = size
    for _ in range(4):
        file.seek(max(0, end - 128))
        tail = file.read(end - max(0, end - 128))
        if tail[:3] == b"TAG" and len(tail) == 128:
            end -= 128
        elif tail[-32:-24] == b"APETAGEX":
            length, _, flags = struct.unpack("<III", tail[-20:-8])
            end -= min(end, length + (32 if flags & 0x8000_0000 else 0))
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            end -= min(end, int(tail[-15:-9]) + 15)
        else:
            break
    return end
