"""Loudness normalisation to a lossless master, beside ffmpeg-normalize."""

from pathlib import Path

from shared.schema.operations import Normalize
from tests.benchmarks.audio import peers
from tests.benchmarks.audio.comparison import differs, faster
from tests.benchmarks.audio.engine import Engine
from tests.benchmarks.audio.inputs import RATE, Inputs
from tests.benchmarks.audio.turns import Turns, Work, in_process, of_program, take_turns
from tests.benchmarks.report import Row
from tests.unit.audio.independent import measure as ebur128

# ffmpeg-normalize's own defaults.
TARGET_LUFS = -23.0
CEILING_DBTP = -2.0
_OPERATION = Normalize(format="flac", target_lufs=TARGET_LUFS, true_peak_dbtp=CEILING_DBTP)


def measure(inputs: Inputs, folder: Path, *, rounds: int) -> tuple[list[Row], Turns]:
    """The row."""
    engine = Engine(folder / "wavemill")
    peer = folder / "peer.wav"
    works: dict[str, Work] = {
        "wavemill, normalize": lambda: in_process(lambda: engine.run(inputs.episode, _OPERATION)),
        **{
            f"{peers.ffmpeg_normalize_version()} with {name}": _ffmpeg_normalize(program, inputs.episode, peer)
            for name, program in peers.ffmpegs().items()
        },
    }
    engine.run(inputs.episode, _OPERATION)
    turns = take_turns(works, rounds)
    ours, theirs = ebur128(engine.folder / "normalize.flac"), ebur128(peer)
    row = faster(
        f"normalize to FLAC at {TARGET_LUFS:.0f} LUFS, beside ffmpeg-normalize to WAV",
        turns,
        "wavemill, normalize",
        {"ffmpeg-normalize": list(works)[1:]},
        must=5,
        aim=8,
        faults=differs("loudness", ours.integrated_lufs, theirs.integrated_lufs, most=0.1, unit="LUFS"),
    )
    return [row], turns


def _ffmpeg_normalize(program: str, source: Path, target: Path) -> Work:
    command = (
        *(peers.ffmpeg_normalize(), source, "-o", target, "-f", "-q"),
        *("-t", TARGET_LUFS, "-tp", CEILING_DBTP, "-c:a", "pcm_s16le", "-ar", RATE),
    )
    return lambda: of_program(command, {"FFMPEG_PATH": program})
