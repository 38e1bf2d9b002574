"""What the clients ask for: short jobs of every kind, and files that are no audio."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.audio_files import ffmpeg, recording


@dataclass(frozen=True, slots=True)
class Recipe:
    """A file and what to do with it."""

    name: str
    clip: str
    operations: tuple[Mapping[str, object], ...]
    artifacts: frozenset[str]
    weight: int
    is_audio: bool = True


_AAC: Mapping[str, object] = {"op": "transcode", "format": "aac", "sample_rate": 48000}

MIXED: Sequence[Recipe] = (
    Recipe("probe", "short.wav", ({"op": "probe"},), frozenset(), 20),
    Recipe("measure", "speech.opus", ({"op": "loudness"}, {"op": "probe"}), frozenset(), 25),
    Recipe(
        "draw",
        "short.wav",
        ({"op": "waveform", "formats": ["dat", "json"]},),
        frozenset({"waveform.dat", "waveform.json"}),
        15,
    ),
    Recipe("master", "speech.opus", ({"op": "normalize"},), frozenset({"normalize.flac"}), 12),
    Recipe(
        "formats",
        "speech.opus",
        ({"op": "transcode", "format": "opus"}, {"op": "transcode", "format": "mp3"}, {"op": "waveform"}),
        frozenset({"transcode.opus", "transcode-2.mp3", "waveform.dat"}),
        12,
    ),
    Recipe("long", "long.opus", (_AAC, {"op": "loudness"}), frozenset({"transcode.m4a"}), 6),
    Recipe("no audio", "noise.bin", ({"op": "loudness"},), frozenset(), 5, is_audio=False),
)
# Some seconds each, so that a stopped child is always one that works.
LONG: Sequence[Recipe] = (
    Recipe("long", "long.opus", (_AAC, {"op": "waveform"}), frozenset({"transcode.m4a", "waveform.dat"}), 1),
)


def make_clips(folder: Path) -> Mapping[str, bytes]:
    """The files of the recipes, made by an independent ffmpeg from a recording of speech."""
    speech = recording()
    short, middle, long = folder / "short.wav", folder / "speech.opus", folder / "long.opus"
    ffmpeg("-i", speech, "-t", "3", "-ar", "16000", short)
    ffmpeg("-i", speech, "-b:a", "24k", middle)
    ffmpeg("-stream_loop", "3", "-i", speech, "-t", "120", "-b:a", "24k", long)
    return {
        **{path.name: path.read_bytes() for path in (short, middle, long)},
        "noise.bin": bytes(range(256)) * 40,
    }
