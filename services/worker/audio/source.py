"""Opening a stranger's file: only formats of the allow-list, and never anything but that one file.

FFmpeg reads through an open file object, and every wish of a demuxer to open something else (a playlist's
segment, a data reference, an address) is refused: no protocol of FFmpeg's is ever used for input.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeAlias

import av
import av.error
import av.logging
from av import Packet
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream

from services.worker.audio.errors import (
    DamagedFile,
    EmptyFile,
    ExternalReference,
    NotAudio,
    SampleRateTooHigh,
    TooManyChannels,
    TooManyStreams,
    TooMuchMetadata,
    TruncatedFile,
    UnsupportedFormat,
)
from services.worker.audio.layouts import STANDARD_LAYOUTS
from services.worker.audio.limits import Limits
from services.worker.audio.pcm import Pcm, Resolution

DEMUXERS = (
    "aac", "ac3", "aiff", "amr", "asf", "au", "caf", "eac3", "flac", "matroska", "mov", "mp3", "ogg", "w64", "wav",
    "wv",
)  # fmt: skip
DECODERS = (
    "aac", "ac3", "adpcm_ima_wav", "adpcm_ms", "alac", "amrnb", "amrwb", "eac3", "flac", "gsm_ms", "mp1", "mp2",
    "mp3float", "opus", "pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw",
    "pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u8", "speex",
    "vorbis", "wavpack", "wmalossless", "wmapro", "wmav1", "wmav2",
)  # fmt: skip
SUPPORTED = "WAV, AIFF, CAF, FLAC, WavPack, MP3, AAC, M4A, MP4, Ogg Opus, Ogg Vorbis, WebM, Matroska, WMA, AC-3 and AMR"

# In quotes: generic in PyAV's stubs only.
AudioPacket: TypeAlias = "Packet[AudioStream]"

_READ_BYTES = 1 << 18
# How formats of the allow-list begin: Ogg, FLAC, WAV, AIFF, Matroska and WebM, MP3 with tags.
_SIGNATURES = (b"OggS", b"fLaC", b"RIFF", b"RF64", b"FORM", b"\x1aE\xdf\xa3", b"ID3")
# Formats without a signature: behind megabytes of tags, only the extension tells them.
_TELLING_EXTENSIONS = frozenset({".mp3", ".aac", ".ac3", ".eac3", ".amr"})
_COUNT_ONLY = re.compile(r"\d+ channels?")
_LOSSLESS = re.compile(r"pcm_[su](8|16|24|32)|pcm_(alaw|mulaw)|pcm_f|flac|alac|wavpack|wmalossless")

# FFmpeg prints to stderr otherwise, and what it prints is the uploader's to choose.
av.logging.set_level(None)


@dataclass(frozen=True)
class Source:
    """An input that was opened and found acceptable.

    Attributes:
        container, stream: PyAV's; `stream` is the audio stream that everything is made from.
        file: the open file, for who wants to look at the bytes; its position belongs to FFmpeg.
        size: bytes.
        pcm: what decoding it gives.
        bits: bits of a coded sample, or None where the codec has no such thing.
        path, limits, name: what it was opened with.
    """

    container: InputContainer
    stream: AudioStream
    file: BinaryIO
    size: int
    pcm: Pcm
    bits: int | None
    path: Path
    limits: Limits
    name: str | None

    def attached_picture(self) -> bytes | None:
        """The first cover picture; None where there is none, or one larger than the limit.

        FFmpeg hands pictures out as packets in front of the audio's, and those are the decoder's to read: the file is
        opened once more.
        """
        if not any(is_attached_picture(stream) for stream in self.container.streams.video):
            return None
        with self.path.open("rb", buffering=0) as file, _open_container(file, self.limits, self.name) as container:
            for packet in islice(container.demux(), len(container.streams)):
                if is_attached_picture(packet.stream) and packet.size:
                    return bytes(packet) if packet.size <= self.limits.cover_bytes else None
        return None


def is_attached_picture(stream: Stream) -> bool:
    """Whether a stream is a picture of its file, and no film."""
    return bool(stream.disposition & Disposition.attached_pic)


@contextmanager
def open_source(path: Path, limits: Limits, name: str | None = None) -> Iterator[Source]:
    """Open an input for one pass.

    Args:
        path: the file.
        limits: what it may be.
        name: what its owner calls it. The extension helps where the content leaves a format in doubt.

    Raises:
        EmptyFile, NotAudio, UnsupportedFormat, DamagedFile, TruncatedFile, ExternalReference: the file is no input.
        TooManyChannels, SampleRateTooHigh, TooManyStreams, TooMuchMetadata: it is too much of one.
        OSError: the file cannot be read.
    """
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        if size == 0:
            raise EmptyFile("The file is empty.")
        with _open_container(file, limits, name) as container:
            stream = _audio_stream(container, limits)
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            bits = bits_per_sample(stream)
            pcm = Pcm(stream.rate, _channel_names(stream), _resolution(stream, bits))
            yield Source(container, stream, file, size, pcm, bits, path, limits, name)


def refuse_reference(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    """Stand where FFmpeg would open a second file or address."""
    raise ExternalReference("The file refers to other files or addresses, which is not allowed: send the audio itself.")


def _open_container(file: BinaryIO, limits: Limits, name: str | None) -> InputContainer:
    options = {
        "format_whitelist": ",".join(DEMUXERS),
        "codec_whitelist": ",".join(DECODERS),
        "protocol_whitelist": "none",
        "probesize": str(limits.probe_bytes),
        "format_probesize": str(limits.probe_bytes),
        "max_streams": str(limits.streams + 1),
    }
    start = file.read(16)
    file.seek(0)
    unnamed = _Unnamed(file, name, limits.header_bytes)
    try:
        container = av.open(
            unnamed,
            "r",
            container_options=options,
            metadata_errors="replace",
            buffer_size=_READ_BYTES,
            io_open=refuse_reference,
        )
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError as error:
        if isinstance(error, av.error.ArgumentError):
            raise UnsupportedFormat(
                f"Not an audio file, or one in a format that is not supported. Supported are {SUPPORTED}."
            ) from error
        if start[4:8] == b"ftyp":
            # Only a file whose index (moov) stands behind the audio ends up here when its end is missing.
            raise TruncatedFile(
                "The file is cut short or damaged: its index is missing. Please send it again."
            ) from error
        if start.startswith(_SIGNATURES):
            raise DamagedFile("The file is cut short or damaged: no audio could be found in it.") from error
        raise NotAudio("Not an audio file: no audio stream was found.") from error
    unnamed.is_opened = True
    return container


class _Unnamed:
    """A file as FFmpeg sees it: no path that an error could tell, and no name but an extension that may help.

    What FFmpeg reads before the audio, it keeps in memory, some of it several times: tags, pictures, an index.

    Attributes:
        is_opened: what is read from now on is audio.
    """

    def __init__(self, file: BinaryIO, name: str | None, header_bytes: int) -> None:
        suffix = Path(name or "").suffix.lower()
        self.name = "input" + (suffix if suffix in _TELLING_EXTENSIONS else "")
        self.tell = file.tell
        self.is_opened = False
        self._file = file
        self._header_bytes = header_bytes
        self._read = 0

    def read(self, size: int) -> bytes:
        """Read up to so many bytes.

        Raises:
            TooMuchMetadata: and that is still no audio.
        """
        data = self._file.read(size)
        if not self.is_opened:
            self._read += len(data)
            if self._read > self._header_bytes:
                raise TooMuchMetadata(
                    f"The file has more than the {self._header_bytes // 1_000_000} MB of tags, pictures and index that "
                    "are allowed in front of its audio."
                )
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """As FFmpeg's own files do it: a place that no file has is an error code, and no trouble of the machine's."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EOVERFLOW}:
                raise
            return -errno.EINVAL


def _audio_stream(container: InputContainer, limits: Limits) -> AudioStream:
    if len(container.streams) > limits.streams:
        raise TooManyStreams(f"The file has more than the {limits.streams} streams that are allowed.")
    stream = container.streams.best("audio")
    if stream is None and not container.streams.audio:
        raise NotAudio("Not an audio file: no audio stream was found.")
    if not isinstance(stream, AudioStream):
        stream = container.streams.audio[0]
    # PyAV's stub says that there always is a codec context; for a codec unknown to this build there is none.
    context = getattr(stream, "codec_context", None)
    if context is None or context.codec.name not in DECODERS:
        name = "unknown to us" if context is None else context.codec.canonical_name
        raise UnsupportedFormat(f"The audio codec ({name}) is not supported. Supported are {SUPPORTED}.")
    channels = context.layout.nb_channels
    if stream.rate <= 0 or channels <= 0:
        raise DamagedFile("The file is damaged: it says neither a sample rate nor a number of channels.")
    if stream.rate > limits.sample_rate:
        raise SampleRateTooHigh(f"The sample rate is {stream.rate} Hz; at most {limits.sample_rate} Hz are allowed.")
    if channels > limits.channels:
        raise TooManyChannels(f"The audio has {channels} channels; at most {limits.channels} are allowed.")
    return stream


def _channel_names(stream: AudioStream) -> tuple[str, ...]:
    """The layout's channels; for a layout that only counts them, what players take that count for."""
    names = tuple(channel.name for channel in stream.layout.channels)
    if _COUNT_ONLY.fullmatch(stream.layout.name) and len(names) in STANDARD_LAYOUTS:
        return STANDARD_LAYOUTS[len(names)][1]
    return names


def layout_name(layout: AudioLayout) -> str:
    """FFmpeg's name of a layout; for one that only counts its channels, of what players take that count for."""
    count = layout.nb_channels
    return (
        STANDARD_LAYOUTS[count][0] if _COUNT_ONLY.fullmatch(layout.name) and count in STANDARD_LAYOUTS else layout.name
    )


def bits_per_sample(stream: AudioStream) -> int | None:
    """Bits of a coded sample, None for codecs that have no such thing."""
    codec = stream.codec_context.codec.canonical_name
    extradata = stream.codec_context.extradata or b""
    if match := re.fullmatch(r"pcm_[suf](\d+)(?:le|be)?(?:_planar)?", codec):
        return int(match[1])
    if codec in {"pcm_alaw", "pcm_mulaw"}:
        return 8
    if codec == "flac" and len(extradata) >= 34:
        # STREAMINFO (RFC 9639, 8.2): 5 bits of bits-per-sample less one stand at bit 103.
        return ((extradata[12] & 1) << 4 | extradata[13] >> 4) + 1
    if codec == "alac" and len(extradata) >= 18:
        return extradata[17]
    if _LOSSLESS.match(codec):
        return 16 if _sample_format(stream).startswith(("s16", "u8")) else 24
    return None


def _sample_format(stream: AudioStream) -> str:
    """FFmpeg's name of it; empty where the first packets were too damaged to tell, which PyAV's stub leaves out."""
    sample_format = getattr(stream.codec_context, "format", None)
    return "" if sample_format is None else str(sample_format.name)


def _resolution(stream: AudioStream, bits: int | None) -> Resolution:
    codec = stream.codec_context.codec.canonical_name
    if not _LOSSLESS.match(codec) or bits is None:
        return Resolution.LOSSY
    if codec.startswith("pcm_f") or (codec == "wavpack" and _sample_format(stream).startswith("flt")):
        return Resolution.FLOAT
    # A-law and mu-law are 8 bits that stand for 13 and 14.
    return Resolution.INT16 if bits <= 16 else Resolution.INT24
