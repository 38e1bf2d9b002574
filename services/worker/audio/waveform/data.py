"""Waveform data as audiowaveform (BBC) writes it: its data format, version 2 or 1, and its JSON.

See https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md. The values are those of its
WaveformGenerator: 16-bit integers, channels averaged with the fraction cut off, minimum and maximum of each
pixel, the last pixel possibly of fewer samples.
"""

import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pcm import Pcm, Resolution, Samples

_FLAG_8_BIT = 1
# Version, flags, sample rate, samples a pixel, length; from version 2 on, channels.
_HEADERS = {1: struct.Struct("<iIiiI"), 2: struct.Struct("<iIiiIi")}
# As text and as numbers of Python they take hundred times the bytes.
_JSON_PIXELS = 1 << 12


class WaveformWriter:
    """Blocks to a .dat file, which grows as they come.

    Attributes:
        length: pixels so far.
        channels: 1, or as many as the source has where they are split.
    """

    def __init__(
        self, path: Path, pcm: Pcm, samples_per_pixel: int, bits: int, *, split_channels: bool = False, version: int = 2
    ) -> None:
        self.length = 0
        self.channels = len(pcm.channels) if split_channels else 1
        self._pcm = pcm
        self._samples_per_pixel = samples_per_pixel
        self._bits = bits
        self._version = version
        self._header = _HEADERS[version]
        self._rest: Samples = np.empty((self.channels, 0), np.float32)
        self._file = path.open("wb")
        self._file.write(bytes(self._header.size))

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        samples = _as_read(samples, self._pcm.resolution)
        if self.channels < len(samples):
            samples = _sum(samples)[None, :]
        samples = np.concatenate((self._rest, samples), axis=1)
        whole = samples.shape[1] // self._samples_per_pixel * self._samples_per_pixel
        self._rest = samples[:, whole:].copy()
        self._write(samples[:, :whole].reshape(self.channels, -1, self._samples_per_pixel))

    def finish(self) -> None:
        """Write the last, incomplete pixel and the header."""
        if self._rest.shape[1]:
            self._write(self._rest[:, None, :])
        self._file.seek(0)
        flags = _FLAG_8_BIT if self._bits == 8 else 0
        fields = (self._version, flags, self._pcm.sample_rate, self._samples_per_pixel, self.length, self.channels)
        self._file.write(self._header.pack(*(fields if self._version == 2 else fields[:-1])))
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _write(self, pixels: Samples) -> None:
        """Pixels of samples, shape (channels, pixels, samples)."""
        if not pixels.shape[1]:
            return
        # Scaling and cutting off keep the order of values, so they are done on the extremes alone.
        extremes = np.stack((pixels.min(axis=2), pixels.max(axis=2)), axis=2)
        averaged = len(self._pcm.channels) // self.channels
        values = np.trunc(_to_integers(extremes, self._pcm.resolution) / averaged)
        values = np.clip(values, -32768, 32767)
        if self._bits == 8:
            values = np.trunc(values / 256)
        # The channels of a pixel stand beside one another.
        self._file.write(values.transpose(1, 0, 2).astype("<i1" if self._bits == 8 else "<i2").tobytes())
        self.length += pixels.shape[1]


def write_json(dat: Path, path: Path) -> None:
    """A .dat file as audiowaveform's JSON, without holding all of it in memory."""
    with dat.open("rb") as source, path.open("w", encoding="ascii") as target:
        version = int.from_bytes(source.read(4), "little")
        source.seek(0)
        _, flags, sample_rate, samples_per_pixel, length, *channels = _HEADERS[version].unpack(
            source.read(_HEADERS[version].size)
        )
        bits = 8 if flags & _FLAG_8_BIT else 16
        # What version 1 wrote knew of neither.
        header = {"version": version, "channels": channels[0]} if channels else {}
        header |= {"sample_rate": sample_rate, "samples_per_pixel": samples_per_pixel, "bits": bits, "length": length}
        target.write(json.dumps(header, separators=(",", ":"))[:-1] + ',"data":[')
        separator = ""
        while data := source.read(_JSON_PIXELS * 2 * bits // 8):
            values = np.frombuffer(data, "<i1" if bits == 8 else "<i2")
            target.write(separator + ",".join(map(str, values.tolist())))
            separator = ","
        target.write("]}\n")


def _as_read(samples: Samples, resolution: Resolution) -> Samples:
    """Samples as libsndfile gives them to audiowaveform: 16-bit integers where the source has more bits than 16.

    A 16-bit source is exact without being scaled first, and a lossy one has no integers to be exact about.
    """
    if resolution is Resolution.INT24:
        samples = np.floor(samples * np.float32(32768))
    elif resolution is Resolution.FLOAT:
        samples = np.trunc(np.clip(samples, -1, 1) * np.float32(32767))
    return samples


def _sum(samples: Samples) -> NDArray[np.float32]:
    """Sum over the channels, shape (frames,)."""
    total: NDArray[np.float32] = samples[0]
    for channel in samples[1:]:
        total = total + channel
    return total


def _to_integers(extremes: NDArray[np.float32], resolution: Resolution) -> NDArray[np.float64]:
    """Sums of channels as sums of 16-bit integers."""
    if resolution in {Resolution.INT24, Resolution.FLOAT}:
        return extremes.astype(np.float64)
    return np.rint(extremes.astype(np.float64) * 32768)
