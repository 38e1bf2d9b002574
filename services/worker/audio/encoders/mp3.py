"""MP3 by LAME (lameenc), with the Info frame that lameenc does not write: length, delay and padding.

Without it a player guesses the length from the bit rate, and every decoder leaves the encoder's delay in front.
"""

import contextlib
from pathlib import Path

import lameenc  # type: ignore[import-not-found]  # it ships no types

from services.worker.audio.encoders.base import Encoder
from services.worker.audio.encoders.plan import Plan
from services.worker.audio.encoders.quantise import Quantiser
from services.worker.audio.mpeg import FrameHeader, candidate_headers, parse_header
from services.worker.audio.pcm import Samples

# LAME's own default, and what FFmpeg's libmp3lame uses.
_QUALITY = 5
# Samples that LAME puts in front when it does not resample; the decoder adds 529 of its own, by convention.
_ENCODER_DELAY = 576
_INFO_BYTES = 156
_ENCODER_NAME = b"LAME3.100"
_CBR = 1


class Mp3Encoder(Encoder):
    """Constant bit rate MPEG-1, 2 or 2.5 layer III."""

    def __init__(self, path: Path, plan: Plan) -> None:
        self._plan = plan
        self._lame = lameenc.Encoder()
        self._lame.silence()
        self._lame.set_in_sample_rate(plan.sample_rate)
        self._lame.set_out_sample_rate(plan.sample_rate)
        self._lame.set_channels(len(plan.channels))
        self._lame.set_bit_rate(plan.bitrate_kbps)
        self._lame.set_quality(_QUALITY)
        # No dither: LAME's own noise is far above the sixteenth bit.
        self._quantiser = Quantiser(16, len(plan.channels), dither=False)
        self._samples = 0
        self._frames = _FrameCounter()
        self._info_header = _info_header(plan)
        self._file = path.open("wb")
        self._file.write(bytes(self._info_header.length))

    def write(self, samples: Samples) -> None:
        """See Encoder."""
        self._samples += samples.shape[1]
        self._put(self._lame.encode(self._quantiser.quantise(samples).tobytes()))

    def finish(self) -> None:
        """See Encoder."""
        self._put(self._lame.flush())
        size = self._file.tell()
        self._file.seek(0)
        self._file.write(self._info_frame(size))
        self._file.close()

    def abort(self) -> None:
        """See Encoder."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, data: bytes) -> None:
        self._frames.count(data)
        self._file.write(data)

    def _info_frame(self, size: int) -> bytes:
        """The frame that players read first (Xing header with LAME's extension); decoded, it is silence.

        http://gabriel.mp3-tech.org/mp3infotag.html
        """
        header = self._info_header
        padding = self._frames.count_so_far * header.samples - _ENCODER_DELAY - self._samples
        tag = b"".join(
            (
                b"Info",
                (0b0111).to_bytes(4, "big"),  # frames, bytes and the seek table follow
                self._frames.count_so_far.to_bytes(4, "big"),
                size.to_bytes(4, "big"),
                bytes(percent * 256 // 100 for percent in range(100)),
                _ENCODER_NAME,
                bytes((_CBR, 0)),
                bytes(8),  # no ReplayGain
                bytes((0, min(self._plan.bitrate_kbps or 0, 255))),
                (_ENCODER_DELAY << 12 | min(padding, 0xFFF)).to_bytes(3, "big"),
                bytes(4),
                size.to_bytes(4, "big"),
                bytes(4),
            )
        )
        return (header.data + bytes(header.side_info_bytes) + tag).ljust(header.length, b"\0")


class _FrameCounter:
    """Counts the frames of a stream that comes in pieces."""

    def __init__(self) -> None:
        self.count_so_far = 0
        self._rest = b""
        self._skip = 0

    def count(self, piece: bytes) -> None:
        """Take in the next piece."""
        data = self._rest + bytes(piece)
        position = self._skip
        while position + 4 <= len(data):
            header = parse_header(data[position : position + 4])
            if header is None:
                raise RuntimeError("LAME wrote something that is no MPEG audio frame")
            self.count_so_far += 1
            position += header.length
        self._rest = data[position:]
        self._skip = max(0, position - len(data))


def _info_header(plan: Plan) -> FrameHeader:
    """A header for the Info frame: of the stream's kind, and the lowest bit rate whose frame has room for the tag."""
    headers = candidate_headers(plan.sample_rate, len(plan.channels))
    return next(header for header in headers if header.length >= 4 + header.side_info_bytes + _INFO_BYTES)
