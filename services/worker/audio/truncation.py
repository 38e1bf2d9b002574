"""Has all of it arrived? What a header promises, against what was decoded.

A cut download decodes without complaint, and its user would get a master that ends in the middle of a sentence.
Only promises that writers keep are taken at their word: a WAV from a pipe has no length, a bit-rate estimate is
no promise, and a stream that was recorded off the air has no end mark. More audio than was promised is no fault.
"""

import struct
from typing import BinaryIO

from services.worker.audio import mpeg
from services.worker.audio.errors import TruncatedFile
from services.worker.audio.source import AudioPacket, Source

# Encoders round their lengths, count their header as a frame, or forget the decoder's delay: not more than this.
_TOLERANCE_SECONDS = 0.12
_TOLERANCE_SHARE = 0.002
# Writers that cannot seek back (a pipe) leave a length near 2 or 4 GiB; a real file of that length is RF64.
_WAV_PLACEHOLDER = 0x7FFF_0000
# Containers whose header counts the samples; FFmpeg guesses the durations of others from their bit rate.
_STATED_DURATIONS = frozenset({"mov", "aiff", "caf"})
_SEGMENT_ID = b"\x18\x53\x80\x67"
_OGG_TAIL_BYTES = 2 * 65_307


class PacketWatch:
    """What went by: counts, how far into the file it was, and the last packet whole enough to be looked at."""

    def __init__(self, source: Source) -> None:
        self.packets = 0
        self.bad_packets = 0
        self.last: AudioPacket | None = None
        self._size = source.size
        self._position = 0.0

    def see(self, packet: AudioPacket) -> None:
        """Note a packet that is about to be decoded."""
        if packet.size:
            self.packets += 1
            self.last = packet

    def position(self) -> float:
        """How far into the file it was, 0 to 1; never less than it was before."""
        if self.last is not None and self.last.pos is not None:
            self._position = min(1.0, max(self._position, self.last.pos / self._size))
        return self._position


def check_complete(source: Source, watch: PacketWatch, decoded: int) -> None:
    """Compare the end of the input with what its header promised.

    Args:
        source: the input, read to its end.
        watch: what it was read as.
        decoded: frames that were decoded.

    Raises:
        TruncatedFile: more than a rounding is missing.
    """
    container = source.container.format.name.partition(",")[0]
    missing = 0.0
    if container == "wav":
        missing = _missing_of_wav(source)
    elif container == "mp3" and (promised := mpeg.promised_seconds(source.file)):
        missing = promised - decoded / source.pcm.sample_rate
    elif source.stream.codec_context.codec.canonical_name == "flac":
        missing = _flac_seconds(source) - decoded / source.pcm.sample_rate
    elif container in _STATED_DURATIONS and source.stream.duration and source.stream.time_base:
        missing = float(source.stream.duration * source.stream.time_base) - decoded / source.pcm.sample_rate
    seconds = decoded / source.pcm.sample_rate
    if missing > _TOLERANCE_SECONDS + _TOLERANCE_SHARE * (seconds + missing):
        raise TruncatedFile(
            f"The file is cut short: it should have {seconds + missing:.1f} seconds of audio and holds {seconds:.1f}. "
            "Please send it again."
        )
    if _ends_within(container, source, watch):
        raise TruncatedFile("The file is cut short: it ends in the middle of a piece of audio. Please send it again.")


def _ends_within(container: str, source: Source, watch: PacketWatch) -> bool:
    """Whether the file ends in the middle of one of its container's pieces."""
    if container == "ogg":
        return _ends_within_ogg_page(source)
    if container == "matroska":
        return _ends_within_segment(source)
    return container in {"mp3", "aac"} and watch.last is not None and _ends_within_frame(source, watch.last)


def _missing_of_wav(source: Source) -> float:
    """Seconds that the data chunk's length promises and the file does not have."""
    found = _wav_data_chunk(source.file)
    if found is None:
        return 0.0
    start, declared = found
    if declared == 0 or declared >= _WAV_PLACEHOLDER:
        return 0.0
    bytes_a_second = (source.stream.bit_rate or 0) / 8
    return max(0, declared - (source.size - start)) / bytes_a_second if bytes_a_second else 0.0


def _wav_data_chunk(file: BinaryIO) -> tuple[int, int] | None:
    """Offset and declared length of a RIFF file's data chunk; None for RF64 and what else has no such thing."""
    file.seek(0)
    if file.read(12)[:4] != b"RIFF":
        return None
    for _ in range(1000):
        header = file.read(8)
        if len(header) < 8:
            return None
        length = struct.unpack("<I", header[4:])[0]
        if header[:4] == b"data":
            return file.tell(), length
        file.seek(length + length % 2, 1)
    return None


def _flac_seconds(source: Source) -> float:
    """Length in STREAMINFO (RFC 9639, 8.2), 0 where the writer did not know it."""
    extradata = source.stream.codec_context.extradata or b""
    if len(extradata) < 34:
        return 0.0
    return (int.from_bytes(extradata[10:18], "big") & (2**36 - 1)) / source.pcm.sample_rate


def _ends_within_ogg_page(source: Source) -> bool:
    """Whether the last page (RFC 3533, 6) is longer than what is left of the file."""
    start = max(0, source.size - _OGG_TAIL_BYTES)
    source.file.seek(start)
    tail = source.file.read(source.size - start)
    page = tail.rfind(b"OggS\0")
    if page < 0:
        return False
    header = tail[page : page + 27]
    if len(header) < 27:
        return True
    segments = tail[page + 27 : page + 27 + header[26]]
    return len(segments) < header[26] or page + 27 + header[26] + sum(segments) > len(tail)


def _ends_within_segment(source: Source) -> bool:
    """Whether the Segment of a Matroska file (RFC 9559, 5.1) is longer than the file; live ones state no length."""
    source.file.seek(0)
    data = source.file.read(4096)
    position = 4  # behind the ID of the EBML header
    length, width = _ebml_number(data[position:])
    position += width + length
    if data[position : position + 4] != _SEGMENT_ID:
        return False
    length, width = _ebml_number(data[position + 4 :])
    is_unknown = length == 2 ** (7 * width) - 1
    return not is_unknown and position + 4 + width + length > source.size


def _ebml_number(data: bytes) -> tuple[int, int]:
    """An EBML variable-size integer (RFC 8794, 4) and the number of its bytes."""
    if not data or not data[0]:
        return 0, 1
    width = 9 - data[0].bit_length()
    return int.from_bytes(data[:width], "big") & (2 ** (7 * width) - 1), width


def _ends_within_frame(source: Source, packet: AudioPacket) -> bool:
    """Whether the last frame of an MP3 or ADTS stream says that it is longer than it is."""
    length = mpeg.frame_bytes(bytes(packet)[:8])
    if length is None or packet.pos is None or packet.pos < 0:
        return False
    return packet.size < length and packet.pos + length > mpeg.end_of_audio(source.file, source.size)
