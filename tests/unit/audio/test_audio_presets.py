"""What the built-in presets make, by independent measurement."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.audio.engine import process
from shared.schema.presets import PRESETS
from tests.unit.audio.independent import ffmpeg, measure, read, read_with_rate
from tests.unit.audio.signals import Signal, save, voice_like


def run(name: str, source: Path, folder: Path) -> dict[str, Any]:
    report = process(source, PRESETS[name].operations, folder)
    return {"path": folder / report.artifacts[0].name, **report.results[name].model_dump()}


def said_of(path: Path) -> str:
    return ffmpeg("-i", path, "-f", "null", "-").stderr.decode()


@pytest.mark.parametrize(("channels", "lufs"), [(2, -16), (1, -19)])
def test_podcast(tmp_path: Path, channels: int, lufs: float) -> None:
    rumble = 0.2 * np.sin(2 * np.pi * 20 * np.arange(8 * 44_100) / 44_100)
    tagged = ("-metadata", "title=Episode 1")
    source = save(tmp_path / "a.flac", 0.5 * voice_like(8, 44_100, channels) + rumble, 44_100, "flac", *tagged)
    made = run("podcast", source, tmp_path)
    measured = measure(made["path"])
    assert measured.integrated_lufs == pytest.approx(lufs, abs=0.15)
    assert measured.true_peak_dbtp <= -1
    assert "Episode 1" in said_of(made["path"])
    spectrum = np.abs(np.fft.rfft(read(made["path"])[0, : 8 * 44_100]))
    # 20 Hz lies two octaves below the filter's 80: 24 dB down, while the rest came up.
    assert spectrum[8 * 20] < 0.1 * np.abs(np.fft.rfft(read(source)[0]))[8 * 20] * 10 ** (made["gain_db"] / 20)


def speech_in_a_booth() -> Signal:
    """2 s of a quiet room, speech with pauses, 3 s of the room."""
    rate = 48_000
    phrases = [voice_like(3, rate, 1, seed=n) for n in range(3)]
    room, pause = np.zeros((1, 2 * rate)), np.zeros((1, rate))
    signal = np.concatenate((room, *(x for phrase in phrases for x in (phrase, pause)), room), axis=1)
    return signal * 0.3 + 10 ** (-85 / 20) * np.random.default_rng(0).normal(size=signal.shape)


def test_audiobook(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", speech_in_a_booth(), 48_000, "pcm_s24le")
    made = run("audiobook", source, tmp_path)
    assert made["acx"]["passed"], made["acx"]
    said = said_of(made["path"])
    assert "44100 Hz, mono" in said
    assert "192 kb/s" in said
    decoded = read(made["path"]).astype(np.float64)[0]
    assert -23 <= 10 * np.log10(np.mean(decoded**2)) <= -18
    assert 20 * np.log10(np.abs(decoded).max()) <= -3
    # A second of the room is left at either end: of 2 s in front, and of 3 s behind.
    loud = np.flatnonzero(np.abs(decoded) > 0.02) / 44_100
    assert loud[0] == pytest.approx(1, abs=0.05)
    assert len(decoded) / 44_100 - loud[-1] == pytest.approx(1, abs=0.05)


def test_music_streaming(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", voice_like(8, 44_100, 2), 44_100, "flac")
    made = run("music-streaming", source, tmp_path)
    measured = measure(made["path"])
    assert measured.integrated_lufs == pytest.approx(-14, abs=0.15)
    assert measured.true_peak_dbtp <= -0.9
    assert made["format"] == "flac"


def test_broadcast(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", voice_like(8, 44_100, 2), 44_100, "flac")
    made = run("broadcast-r128", source, tmp_path)
    assert measure(made["path"]).integrated_lufs == pytest.approx(-23, abs=0.1)
    assert "pcm_s24le" in said_of(made["path"])
    assert read_with_rate(made["path"])[1] == 48_000


def test_voice_note(tmp_path: Path) -> None:
    made = run("voice-note", save(tmp_path / "a.wav", speech_in_a_booth(), 48_000), tmp_path)
    assert "opus" in said_of(made["path"])
    assert made["channels"] == 1
    # 2 s and 3 s at the ends become 0.2 s each; the pauses of 1 s are not long.
    assert made["duration_seconds"] == pytest.approx(9 + 2 + 0.4, abs=0.2)
    assert measure(made["path"]).integrated_lufs == pytest.approx(-19, abs=0.3)
