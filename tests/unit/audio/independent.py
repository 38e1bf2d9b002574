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


def with_chapters(sound: Path, target: Path, chapters: list[tuple[int, int, str]], *more: str) -> Path:
    """The sound in the format of the target's name, with chapters: start and end in milliseconds, and title."""
    lines = [";FFMETADATA1"]
    for start, end, title in chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={end}", f"title={title}"]
    said = sound.with_suffix(".chapters")
    said.write_text("\n".join(lines))
    ffmpeg("-i", sound, "-f", "ffmetadata", "-i", said, "-map", "0", "-map_chapters", "1", *more, target)
    return target


def chapters_of(path: Path) -> list[tuple[float, float, str]]:
    """Start and end of each chapter as they stand in the file, s, and its title."""
    # Without -copyts, an encoder's delay is taken off.
    said = ffmpeg("-v", "error", "-copyts", "-i", path, "-f", "ffmetadata", "-").stdout.decode()
    chapters = []
    for part in said.split("[CHAPTER]\n")[1:]:
        values = dict(line.split("=", 1) for line in part.splitlines() if "=" in line)
        numerator, denominator = map(int, values["TIMEBASE"].split("/"))
        unit = numerator / denominator
        chapters.append((int(values["START"]) * unit, int(values["END"]) * unit, values.get("title", "")))
    return chapters
