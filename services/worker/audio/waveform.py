"""Waveform data as audiowaveform (BBC) writes it: data format version 2, and its JSON.

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

_VERSION = 2
_FLAG_8_BIT = 1
_HEADER = struct.Struct("<iIiiIi")
_JSON_PIXELS = 1 << 16


class WaveformWriter:
    """Blocks to a .dat file, which grows as they come."""

    def __init__(self, path: Path, pcm: Pcm, samples_per_pixel: int, bits: int) -> None:
        self.length = 0
        self._pcm = pcm
        self._samples_per_pixel = samples_per_pixel
        self._bits = bits
        self._rest: NDArray[np.float32] = np.empty(0, np.float32)
        self._file = path.open("wb")
        self._file.write(bytes(_HEADER.size))

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""
        mono = np.concatenate((self._rest, _channel_sum(samples, self._pcm.resolution)))
        whole = len(mono) // self._samples_per_pixel * self._samples_per_pixel
        self._rest = mono[whole:].copy()
        self._write(mono[:whole].reshape(-1, self._samples_per_pixel))

    def finish(self) -> None:
        """Write the last, incomplete pixel and the header."""
        if len(self._rest):
            self._write(self._rest[None, :])
        self._file.seek(0)
        flags = _FLAG_8_BIT if self._bits == 8 else 0
        self._file.write(_HEADER.pack(_VERSION, flags, self._pcm.sample_rate, self._samples_per_pixel, self.length, 1))
        self._file.close()

    def abort(self) -> None:
        """Close the file as it is."""
        self._file.close()

    def _write(self, pixels: NDArray[np.float32]) -> None:
        if not len(pixels):
            return
        # Scaling and cutting off keep the order of values, so they are done on the extremes alone.
        extremes = np.stack((pixels.min(axis=1), pixels.max(axis=1)), axis=1)
        values = np.trunc(_to_integers(extremes, self._pcm.resolution) / len(self._pcm.channels))
        values = np.clip(values, -32768, 32767)
        if self._bits == 8:
            values = np.trunc(values / 256)
        self._file.write(values.astype("<i1" if self._bits == 8 else "<i2").tobytes())
        self.length += len(pixels)


def write_json(dat: Path, path: Path) -> None:
    """A .dat file of version 2 as audiowaveform's JSON, without holding all of it in memory."""
    with dat.open("rb") as source, path.open("w", encoding="ascii") as target:
        version, flags, sample_rate, samples_per_pixel, length, channels = _HEADER.unpack(source.read(_HEADER.size))
        bits = 8 if flags & _FLAG_8_BIT else 16
        header = {
            "version": version,
            "channels": channels,
            "sample_rate": sample_rate,
            "samples_per_pixel": samples_per_pixel,
            "bits": bits,
            "length": length,
        }
        target.write(json.dumps(header, separators=(",", ":"))[:-1] + ',"data":[')
        separator = ""
        while data := source.read(_JSON_PIXELS * 2 * bits // 8):
            values = np.frombuffer(data, "<i1" if bits == 8 else "<i2")
            target.write(separator + ",".join(map(str, values.tolist())))
            separator = ","
        target.write("]}\n")


def _channel_sum(samples: Samples, resolution: Resolution) -> NDArray[np.float32]:
    """Sum over the channels, shape (frames,): of 16-bit integers where the source has more bits than 16.

    A 16-bit source is exact without being scaled first, and a lossy one has no integers to be exact about.
    """
    if resolution is Resolution.INT24:
        samples = np.floor(samples * np.float32(32768))
    elif resolution is Resolution.FLOAT:
        samples = np.trunc(np.clip(samples, -1, 1) * np.float32(32767))
    total: NDArray[np.float32] = samples[0]
    for channel in samples[1:]:
        total = total + channel
    return total


def _to_integers(extremes: NDArray[np.float32], resolution: Resolution) -> NDArray[np.float64]:
    """Sums of channels as sums of 16-bit integers."""
    if resolution in {Resolution.INT24, Resolution.FLOAT}:
        return extremes.astype(np.float64)
    return np.rint(extremes.astype(np.float64) * 32768)
