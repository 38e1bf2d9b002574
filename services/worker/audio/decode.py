"""The one decode: a source to blocks of float32, whatever happens to its parameters on the way."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import av.error
import numpy as np
from av import AudioFifo, AudioFrame, AudioResampler, Packet

from services.worker.audio.errors import DamagedFile, EmptyFile, TooLong, UnsupportedFormat
from services.worker.audio.limits import Limits
from services.worker.audio.pcm import PLANES_PYAV_CAN_COUNT, Block, Resolution, Samples
from services.worker.audio.source import AudioPacket, Source, layout_name
from services.worker.audio.truncation import PacketWatch, check_complete

# A float file may hold anything, not-a-number and infinity too. This bound, 120 dB over full scale, keeps squares
# and sums of float32 finite and is far from anything that was meant.
LARGEST_SAMPLE = 1e6
_DAMAGED_SHARE = 0.02
_FIRST_BLOCK_FRAMES = 8_192
_TYPES = {"s16": np.int16, "s32": np.int32, "u8": np.uint8, "flt": np.float32, "dbl": np.float64}


def decode(source: Source, limits: Limits) -> Iterator[Block]:
    """Decode all of the audio stream, once.

    Encoder delay and padding are cut as the container says (gapless). Timestamps are not looked at: what
    was recorded is played without gaps, as every player does. The first frame's rate and layout hold for all.

    Yields:
        Blocks of `Pcm.block_frames` frames, the first of fewer, so that whoever waits for them begins at once; the
        last may be shorter, none is empty.

    Raises:
        DamagedFile, TruncatedFile, EmptyFile, TooLong: see errors.
    """
    allowed = limits.decoded_samples // len(source.pcm.channels)
    watch = PacketWatch(source)
    gather = _Gather(source)
    decoded, most_frames = 0, source.pcm.block_frames
    block_frames = min(_FIRST_BLOCK_FRAMES, most_frames)
    announced = source.stream.frames
    for packet in _packets(source):
        watch.see(packet)
        frames = _frames(packet, watch)
        for frame in frames:
            gather.push(frame)
        if watch.packets == announced and packet.size:
            gather.leave_out(_padding_of_last(packet, frames))
        while (gathered := gather.pull(block_frames)) is not None:
            decoded += gathered.samples
            # Short audio is of many blocks too, for the progress is told by the block.
            block_frames = min(max(_FIRST_BLOCK_FRAMES, decoded // 8), most_frames)
            if decoded > allowed:
                raise TooLong(
                    f"The audio is longer than the {allowed / source.pcm.sample_rate / 60:.0f} minutes that are "
                    "allowed for its sample rate and channels."
                )
            yield Block(partial(_to_float, gathered, source.pcm.resolution), watch.position())
    gather.flush()
    while (gathered := gather.pull(most_frames, rest=True)) is not None:
        decoded += gathered.samples
        yield Block(partial(_to_float, gathered, source.pcm.resolution), 1.0)
    if watch.bad_packets > max(2, _DAMAGED_SHARE * watch.packets) or (watch.bad_packets and not decoded):
        raise DamagedFile("The file is damaged: too much of it cannot be decoded.")
    check_complete(source, watch, decoded)
    if decoded == 0:
        raise EmptyFile("The file holds no sound: its audio stream is empty.")


def _padding_of_last(packet: AudioPacket, frames: list[AudioFrame]) -> int:
    """Frames of padding in the last packet of an MP4, which says so by its shorter duration.

    FFmpeg's libraries before version 9 tell their decoder of padding at the start, but not of this.
    """
    if not frames or not packet.duration or packet.time_base != Fraction(1, frames[-1].sample_rate):
        return 0
    return max(0, sum(frame.samples for frame in frames) - packet.duration)


def _packets(source: Source) -> Iterator[AudioPacket]:
    """Packets as far as the container can be read; what is missing behind is for check_complete to say."""
    packets = source.container.demux(source.stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.MemoryError:
            raise
        except av.error.PatchWelcomeError as error:
            # What comes behind is whole, and FFmpeg cannot read it: an Ogg file with a link of another kind.
            raise UnsupportedFormat(
                "The audio changes on the way, in its channels or its codec, in a manner that is not supported. "
                "Please send the parts one by one."
            ) from error
        except av.error.FFmpegError:
            yield from _flush(source)
            return
        yield packet


def _flush(source: Source) -> Iterator[AudioPacket]:
    packet: AudioPacket = Packet()  # type: ignore[assignment]  # a new packet has no stream, by its stub
    packet.stream = source.stream
    yield packet


def _frames(packet: AudioPacket, watch: PacketWatch) -> list[AudioFrame]:
    try:
        return packet.decode()
    except av.error.MemoryError:
        raise
    except av.error.EOFError:
        return []
    except av.error.FFmpegError:
        watch.bad_packets += 1
        return []


class _Gather:
    """Frames of some thousand samples to blocks, in FFmpeg's FIFO and the decoder's own sample format."""

    def __init__(self, source: Source) -> None:
        self._pcm = source.pcm
        self._channels = len(source.pcm.channels)
        self._layout = layout_name(source.stream.layout)
        self._format = ""
        self._fifo = AudioFifo()
        self._time_base = source.stream.time_base
        self._left_out = 0
        self._converter: _Converter | None = None

    def push(self, frame: AudioFrame) -> None:
        """Take in a frame as the decoder gave it."""
        self._format = self._format or self._gathered_format(frame)
        # AudioFifo looks at format and rate, but would read past the end of a frame with fewer channels.
        fits = (
            frame.layout.nb_channels == self._channels
            and frame.sample_rate == self._pcm.sample_rate
            and frame.format.name == self._format
        )
        if self._converter is not None and (fits or not self._converter.takes(frame)):
            self.flush()
        if fits:
            self._write(frame)
            return
        if self._converter is None:
            self._converter = _Converter(frame, self._format, self._layout, self._pcm.sample_rate)
        self._take_converted(frame)

    def leave_out(self, frames: int) -> None:
        """So many frames at the end of what was taken in are never given out."""
        self._left_out = frames

    def flush(self) -> None:
        """Take in what is left in a conversion."""
        if self._converter is not None:
            self._take_converted(None)
            self._converter = None

    def _take_converted(self, frame: AudioFrame | None) -> None:
        if self._converter is None:
            return
        for converted in self._converter.convert(frame):
            # ... and on one time base.
            converted.time_base = self._time_base
            self._write(converted)

    def pull(self, frames: int, *, rest: bool = False) -> AudioFrame | None:
        """A frame of so many samples a channel if there are as many, or of what there is if that is wanted."""
        available = self._fifo.samples - self._left_out
        if available < (1 if rest else frames):
            return None
        return self._fifo.read(min(frames, available))

    def _gathered_format(self, frame: AudioFrame) -> str:
        name = frame.format.name
        if name.removesuffix("p") not in _TYPES:
            name = "fltp"
        return name if frame.layout.nb_channels < PLANES_PYAV_CAN_COUNT else name.removesuffix("p")

    def _write(self, frame: AudioFrame) -> None:
        # The FIFO insists on gapless timestamps.
        frame.pts = None
        self._fifo.write(frame)


class _Converter:
    """For a stream that changes its parameters on the way: frames of the new kind to frames of the first kind."""

    def __init__(self, frame: AudioFrame, sample_format: str, layout: str, sample_rate: int) -> None:
        self._takes = _parameters(frame)
        self._resampler = AudioResampler(sample_format, layout, sample_rate)

    def takes(self, frame: AudioFrame) -> bool:
        """Whether a frame is of the kind that this converter was made for."""
        return _parameters(frame) == self._takes

    def convert(self, frame: AudioFrame | None) -> list[AudioFrame]:
        """Converted frames; None for the last ones."""
        return self._resampler.resample(frame)


def _parameters(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _to_float(frame: AudioFrame, resolution: Resolution) -> Samples:
    """A frame to shape (channels, frames), full scale 1.0; exact for integers of up to 24 bits."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    kind = values.dtype.kind
    if kind == "f":
        # What no float32 holds becomes infinite, and is bounded like all that is.
        with np.errstate(over="ignore", invalid="ignore"):
            samples = np.ascontiguousarray(values, np.float32)
        return samples if resolution in {Resolution.INT16, Resolution.INT24} else _bounded(samples)
    samples = np.empty(values.shape, np.float32)
    if kind == "u":
        np.subtract(values, np.float32(128), out=samples, casting="unsafe")
        samples *= np.float32(1 / 128)
    else:
        np.multiply(values, np.float32(2.0 ** (1 - 8 * values.itemsize)), out=samples, casting="unsafe")
    return samples


def _bounded(samples: Samples) -> Samples:
    # The comparison is false for not-a-number as well.
    if not (samples.max() <= LARGEST_SAMPLE and samples.min() >= -LARGEST_SAMPLE):
        samples = np.nan_to_num(samples, nan=0.0, posinf=LARGEST_SAMPLE, neginf=-LARGEST_SAMPLE)
        np.clip(samples, -LARGEST_SAMPLE, LARGEST_SAMPLE, out=samples)
    return samples
