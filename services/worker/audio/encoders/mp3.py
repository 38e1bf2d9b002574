"""MP3 by LAME (lameenc), with the Info frame that lameenc does not write: length, delay and padding.

Without it a player guesses the length from the bit rate, and every decoder leaves the encoder's delay in front.
"""

import contextlib
from pathlib import Path

import lameenc  # type: ignore[import-not-found]  # it ships no types

from services.worker.audio.encoders.base import Encoder, Packed
from services.worker.audio.encoders.plan import Plan
from services.worker.audio.encoders.quantise import Quantiser
from services.worker.audio.encoders.tagging import Labels, id3_tag
from services.worker.audio.mpeg import FrameHeader, candidate_headers, parse_header
from services.worker.audio.pcm import Samples

# LAME's own default, and what FFmpeg's libmp3lame uses.
_EFFORT = 5
# Samples that LAME puts in front when it does not resample; the decoder adds 529 of its own, by convention.
_ENCODER_DELAY = 576
_INFO_BYTES = 160
_ENCODER_NAME = b"LAME3.100"
# LAME's numbers of its ways to spend bits: in its API (vbr_mtrh, its default), and in the Info frame.
_VBR = 4
_CBR_METHOD, _VBR_METHOD = 1, 4
# What LAME has for a constant bit rate, where it means nothing.
_USUAL_QUALITY = 4
_JOINT_STEREO, _NOISE_SHAPING = 3, 1
_MOST_PLACES = 2000


class Mp3Encoder(Encoder):
    """MPEG-1, 2 or 2.5 layer III at a constant bit rate, or at a variable one by quality."""

    def __init__(self, path: Path, plan: Plan, labels: Labels) -> None:
        super().__init__(is_slowest=False)
        self._plan = plan
        self._lame = lameenc.Encoder()
        self._lame.silence()
        self._lame.set_in_sample_rate(plan.sample_rate)
        self._lame.set_out_sample_rate(plan.sample_rate)
        self._lame.set_channels(len(plan.channels))
        if plan.quality is None:
            self._lame.set_bit_rate(plan.bitrate_kbps)
        else:
            self._lame.set_vbr(_VBR)
            self._lame.set_vbr_quality(plan.quality)
        self._lame.set_quality(_EFFORT)
        # No dither: LAME's own noise is far above the sixteenth bit.
        self._quantiser = Quantiser(16, len(plan.channels), dither=False)
        self._samples = 0
        self._info_header = _info_header(plan)
        self._frames = _Frames(self._info_header.length)
        self._tag = id3_tag(labels)
        self._file = path.open("wb")
        self._file.write(self._tag + bytes(self._info_header.length))

    def _pack(self, samples: Samples) -> Packed:
        return self._quantiser.quantise(samples)

    def _encode(self, packed: Packed) -> None:
        self._samples += len(packed)
        self._put(self._lame.encode(packed.tobytes()))

    def _close(self) -> None:
        self._put(self._lame.flush())
        size = self._file.tell() - len(self._tag)
        self._file.seek(len(self._tag))
        self._file.write(self._info_frame(size))
        self._file.close()

    def _abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, data: bytes) -> None:
        self._frames.add(data)
        self._file.write(data)

    def _info_frame(self, size: int) -> bytes:
        """The frame that players read first (Xing header with LAME's extension); decoded, it is silence.

        http://gabriel.mp3-tech.org/mp3infotag.html
        """
        header, is_vbr = self._info_header, self._plan.quality is not None
        padding = self._frames.count * header.samples - _ENCODER_DELAY - self._samples
        # Of a variable bit rate, the lowest.
        kbps = header.bitrate_kbps if is_vbr else self._plan.bitrate_kbps or 0
        tag = b"".join(
            (
                b"Xing" if is_vbr else b"Info",
                (0b1111).to_bytes(4, "big"),  # frames, bytes, the seek table and the quality follow
                self._frames.count.to_bytes(4, "big"),
                size.to_bytes(4, "big"),
                self._frames.seek_table(size),
                _quality(self._plan).to_bytes(4, "big"),
                _ENCODER_NAME,
                bytes((_VBR_METHOD if is_vbr else _CBR_METHOD, 0)),
                bytes(8),  # no ReplayGain; ID3 has it
                bytes((0, min(kbps, 255))),
                (_ENCODER_DELAY << 12 | min(padding, 0xFFF)).to_bytes(3, "big"),
                bytes((_miscellaneous(self._plan), 0, 0, 0)),
                size.to_bytes(4, "big"),
                bytes(4),
            )
        )
        return (header.data + bytes(header.side_info_bytes) + tag).ljust(header.length, b"\0")


def _quality(plan: Plan) -> int:
    """LAME's own way to put the two scales of its settings into one number, the second of which is the effort."""
    return 100 - 10 * (_USUAL_QUALITY if plan.quality is None else plan.quality) - _EFFORT


def _miscellaneous(plan: Plan) -> int:
    """Noise shaping, joint stereo or mono, and about which sample rate the source had."""
    source = sum(plan.sample_rate > rate for rate in (32_000, 44_100, 48_000))
    return source << 6 | (_JOINT_STEREO if len(plan.channels) == 2 else 0) << 2 | _NOISE_SHAPING


class _Frames:
    """Counts the frames of a stream that comes in pieces, and knows where about each stands.

    Attributes:
        count: frames so far, without the Info frame.
    """

    def __init__(self, start: int) -> None:
        self.count = 0
        self._rest = b""
        self._skip = 0
        self._place = start
        # Where every so many frames begin: enough for a table of a hundred entries, however long the stream.
        self._places: list[int] = []
        self._stride = 1

    def add(self, piece: bytes) -> None:
        """Take in the next piece."""
        data = self._rest + bytes(piece)
        position = self._skip
        while position + 4 <= len(data):
            header = parse_header(data[position : position + 4])
            if header is None:
                raise RuntimeError("LAME wrote something that is no MPEG audio frame")
            self._note(header.length)
            position += header.length
        self._rest = data[position:]
        self._skip = max(0, position - len(data))

    def seek_table(self, size: int) -> bytes:
        """For each hundredth of the time, how many 256ths of the stream's bytes are in front of it."""
        if not self._places:
            return bytes(100)
        places = (self._places[self.count * percent // 100 // self._stride] for percent in range(100))
        return bytes(min(255, place * 256 // size) for place in places)

    def _note(self, length: int) -> None:
        if self.count % self._stride == 0:
            self._places.append(self._place)
            if len(self._places) == _MOST_PLACES:
                self._places = self._places[::2]
                self._stride *= 2
        self.count += 1
        self._place += length


def _info_header(plan: Plan) -> FrameHeader:
    """A header for the Info frame: of the stream's kind and bit rate, or the next whose frame has room for the tag.

    A reader that looks at the first frames alone would take another bit rate for a variable one.
    """
    headers = candidate_headers(plan.sample_rate, len(plan.channels))
    return next(
        header
        for header in headers
        if header.length >= 4 + header.side_info_bytes + _INFO_BYTES and header.bitrate_kbps >= (plan.bitrate_kbps or 0)
    )
