"""Audio for tests: a real recording, and files made by an independent ffmpeg."""

import importlib.util
import subprocess
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np


@cache
def recording() -> Path:
    """44 s of speech, 48 kHz mono, 16 bit: two_cities.wav of the moonshine-voice package, which is not imported."""
    found = importlib.util.find_spec("moonshine_voice")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "assets" / "two_cities.wav"


def ffmpeg(*arguments: str | Path) -> str:
    """Run an independent ffmpeg, and give what it says on standard error."""
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-y", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def integrated_loudness(path: Path) -> float:
    """LUFS, by ffmpeg's ebur128."""
    said = ffmpeg("-i", path, "-filter:a", "ebur128=peak=true:framelog=quiet", "-f", "null", "-")
    summary = said[said.rindex("Integrated loudness:") :]
    return float(summary.split("I:")[1].split("LUFS")[0])


def noise(path: Path, *, seconds: float, channels: int = 2, rate: int = 44100, arguments: tuple[str, ...] = ()) -> Path:
    """Pink-ish noise in the format of the path's name."""
    source = f"anoisesrc=d={seconds}:c=pink:r={rate}:a=0.2:seed=7"
    ffmpeg("-f", "lavfi", "-i", source, "-ac", str(channels), *arguments, path)
    return path


def sine(path: Path, *, dbfs: float, seconds: float = 20.0, rate: int = 48000) -> Path:
    """A stereo sine of 1 kHz whose peak is at so many dBFS, as EBU Tech 3341 means it; 24-bit WAV."""
    time = np.arange(int(seconds * rate)) / rate
    wave = 10 ** (dbfs / 20) * np.sin(2 * np.pi * 1000 * time)
    raw = path.with_suffix(".f64")
    raw.write_bytes(np.repeat(wave[:, None], 2, axis=1).astype("<f8").tobytes())
    ffmpeg("-f", "f64le", "-ar", str(rate), "-ac", "2", "-i", raw, "-c:a", "pcm_s24le", path)
    raw.unlink()
    return path
