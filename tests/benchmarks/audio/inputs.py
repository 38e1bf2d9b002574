"""What is measured: speech in noise, made by arithmetic, the same on every machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.audio_files import ffmpeg

RATE = 44_100
EPISODE_SECONDS = 600
CLIP_SECONDS = 5
MP3_KBPS = 192
_SEED = 1770
# As many seconds are different; each minute has a noise of its own.
_SPEECH_SECONDS = 60
# The first three formants of some vowels, Hz (Peterson and Barney, "Control Methods Used in a Study of the Vowels",
# 1952: men).
_VOWELS = (
    (270, 2290, 3010),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (300, 870, 2240),
)
_FORMANT_WIDTH_HZ = 110.0
_HIGHEST_HZ = 6_000.0
_SPEECH_PEAK = 0.35
_NOISE = 0.004


@dataclass(frozen=True)
class Inputs:
    """The files: a 10-minute episode, and a short clip of the same kind."""

    episode: Path
    clip: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Inputs":
        """Write them: 44.1 kHz stereo MP3 at 192 kbit/s."""
        raw = folder / "episode.s16"
        with raw.open("wb") as file:
            for minute in _minutes():
                file.write(minute.tobytes())
        made = cls(folder / "episode.mp3", folder / "clip.mp3")
        samples = ("-f", "s16le", "-ar", str(RATE), "-ch_layout", "stereo", "-i", raw)
        encoding = ("-c:a", "libmp3lame", "-b:a", f"{MP3_KBPS}k")
        ffmpeg(*samples, *encoding, made.episode)
        ffmpeg("-ss", "12", "-t", str(CLIP_SECONDS), *samples, *encoding, made.clip)
        raw.unlink()
        return made


def _minutes() -> Iterator[NDArray[np.int16]]:
    """Interleaved minutes, shape (frames, 2)."""
    random = np.random.default_rng(_SEED)
    speech = _speech(random)
    for _ in range(EPISODE_SECONDS // _SPEECH_SECONDS):
        noise = random.normal(0, _NOISE, (len(speech), 2)).astype(np.float32)
        # The voice stands a little to the left, as voices do.
        stereo = speech[:, None] * np.array([1.0, 0.8], np.float32) + noise
        yield np.rint(stereo * 32767).astype(np.int16)


def _speech(random: np.random.Generator) -> NDArray[np.float32]:
    """A voice that says syllables in phrases with pauses between them, shape (frames,)."""
    voice = np.zeros(_SPEECH_SECONDS * RATE, np.float32)
    at, left_of_phrase = 0, 0
    while True:
        if not left_of_phrase:
            at += int(random.uniform(0.3, 0.9) * RATE)
            left_of_phrase = int(random.integers(6, 14))
        syllable = _syllable(random)
        if at + len(syllable) > len(voice):
            return voice * np.float32(_SPEECH_PEAK / np.abs(voice).max())
        voice[at : at + len(syllable)] += syllable
        at += int(len(syllable) * 0.9)
        left_of_phrase -= 1


def _syllable(random: np.random.Generator) -> NDArray[np.float32]:
    """Harmonics of a falling tone, through the formants of a vowel, with a breath of noise in front."""
    seconds = random.uniform(0.15, 0.32)
    time = np.arange(int(seconds * RATE)) / RATE
    pitch = random.uniform(95, 150)
    phase = 2 * np.pi * pitch * (time - 0.12 * time**2 / seconds)
    formants = np.array(_VOWELS[int(random.integers(len(_VOWELS)))])
    tone = np.zeros(len(time))
    for harmonic in range(1, int(_HIGHEST_HZ / pitch)):
        away = (harmonic * pitch - formants) / _FORMANT_WIDTH_HZ
        strength = float((np.array([1.0, 0.5, 0.25]) / (1 + away**2)).sum()) + 0.01
        tone += strength / harmonic**0.3 * np.sin(harmonic * phase)
    breath = random.normal(0, 1, len(time)) * np.exp(-time / 0.03)
    swell = np.sin(np.pi * np.minimum(time / seconds, 1)) ** 0.6
    level = 10 ** (random.uniform(-3, 0) / 20)
    syllable: NDArray[np.float32] = (level * swell * (tone / np.abs(tone).max() + 0.15 * breath)).astype(np.float32)
    return syllable
