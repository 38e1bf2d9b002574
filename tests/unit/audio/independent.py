"""FFmpeg's own program as an independent maker and reader of audio files (from imageio-ffmpeg's wheel)."""

import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@dataclass(frozen=True)
class Loudness:
    """What FFmpeg's ebur128 filter says."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float


def ffmpeg(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run FFmpeg to its end; its stderr is in the error if it fails."""
    command = [FFMPEG, "-hide_banner", "-nostdin", "-y", *map(str, arguments)]
    if stdin is not None:
        command.remove("-nostdin")
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done


def read_with_rate(path: Path) -> tuple[NDArray[np.float32], int]:
    """All samples of a file, shape (channels, frames), and its sample rate in Hz."""
    # A WAV to a pipe: the header says how many channels there are, and everything behind `data` is samples.
    raw = ffmpeg("-v", "error", "-i", path, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "wav", "-").stdout
    channels, rate = struct.unpack("<HI", raw[22:28])
    return np.frombuffer(raw, np.float32, offset=raw.index(b"data") + 8).reshape(-1, channels).T, rate


def read(path: Path) -> NDArray[np.float32]:
    """All samples of a file, shape (channels, frames)."""
    return read_with_rate(path)[0]


def measure(path: Path) -> Loudness:
    """Loudness by the filter ebur128."""
    log = ffmpeg(
        "-i", path, "-map", "0:a:0", "-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"
    ).stderr.decode()
    summary = log[log.rindex("Summary:") :]

    def value(name: str) -> float:
        match = re.search(rf"{name}:\s+(-?[\d.]+|-?inf)", summary)
        assert match is not None, summary
        return float(match[1])

    return Loudness(value("I"), value("LRA"), value("Peak"))
