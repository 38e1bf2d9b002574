"""`make pictures`: the pictures of docs/operations.md, drawn by the audio engine of a recording made by arithmetic."""

import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.engine import process
from shared.schema.operations import Operation, Spectrogram, Waveform, WaveformPicture, operations_adapter

IMAGES = Path(__file__).parents[2] / "docs" / "images"
_RATE = 32_000
_SECONDS = 24
_BEAT_SECONDS = 0.5
# The steps of a minor pentatonic scale, up and down.
_NOTES = (0, 3, 5, 7, 10, 12, 10, 7, 5, 3)
_LOWEST_HZ = 220.0

_OPERATIONS: tuple[Operation, ...] = (
    Waveform(name="waveform", formats=("png",), picture=WaveformPicture(width=960, height=140)),
    Waveform(
        name="waveform-channels",
        formats=("png",),
        split_channels=True,
        picture=WaveformPicture(width=960, height=160, wave_color="#d6336c", background_color="#f8f9fa"),
    ),
    Spectrogram(name="spectrogram", width=960, height=280, frequency_scale="mel", colors="magma"),
    Spectrogram(name="spectrogram-axes", width=820, height=260, frequency_scale="log", min_hz=100, axes=True),
)


def main() -> int:
    """Exit code 0 when the pictures are written."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wavemill-") as directory:
        recording = Path(directory) / "recording.wav"
        _save(recording, _music())
        operations = operations_adapter.validate_python([each.model_dump() for each in _OPERATIONS])
        for artifact in process(recording, operations, IMAGES).artifacts:
            print(f"docs/images/{artifact.name}")
    return 0


def _music() -> NDArray[np.float64]:
    """Plucked notes on the left, their echo on the right, a sweep over all of it and a breath of noise at the end."""
    frames = _SECONDS * _RATE
    times = np.arange(frames) / _RATE
    notes = np.zeros(frames)
    for number in range(int((_SECONDS - 4) / _BEAT_SECONDS)):
        start = round(number * _BEAT_SECONDS * _RATE)
        hertz = _LOWEST_HZ * 2 ** (_NOTES[number % len(_NOTES)] / 12)
        notes[start:] += _pluck(hertz, times[: frames - start])
    echo = np.concatenate((np.zeros(_RATE * 3 // 8), notes))[:frames]
    sweep = 0.01 * np.sin(2 * np.pi * 100 * _SECONDS / np.log(140) * (140 ** (times / _SECONDS) - 1))
    breath = np.random.default_rng(1).normal(size=frames) * 0.05 * np.exp(-(((times - _SECONDS + 2) / 0.6) ** 2))
    return np.stack((0.30 * notes + sweep + breath, 0.18 * echo + sweep + breath))


def _pluck(hertz: float, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """A string: harmonics that die away the faster the higher they are."""
    harmonics = np.arange(1, 16)[:, None]
    sound = np.sin(2 * np.pi * hertz * harmonics * times) * np.exp(-times * (1.5 + 1.2 * harmonics)) / harmonics
    total: NDArray[np.float64] = sound.sum(axis=0)
    return total


def _save(path: Path, samples: NDArray[np.float64]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(np.rint(np.clip(samples.T, -1, 1) * 32_767).astype("<i2").tobytes())


if __name__ == "__main__":
    sys.exit(main())
