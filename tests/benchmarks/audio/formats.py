"""Writing other formats: three from one input, and one of a short clip."""

import re
from collections.abc import Sequence
from pathlib import Path

from shared.schema.operations import Transcode
from tests.audio_files import ffmpeg
from tests.benchmarks.audio import peers
from tests.benchmarks.audio.comparison import differs, faster
from tests.benchmarks.audio.engine import Engine
from tests.benchmarks.audio.inputs import Inputs
from tests.benchmarks.audio.turns import Taken, Turns, Work, in_process, of_program, take_turns
from tests.benchmarks.report import Row

_OPERATIONS = (
    Transcode(name="opus", format="opus", bitrate_kbps=64),
    Transcode(name="aac", format="aac", bitrate_kbps=128),
    Transcode(name="mp3", format="mp3", bitrate_kbps=192),
)
_OUTPUTS: dict[str, tuple[str, ...]] = {
    "opus.opus": ("-c:a", "libopus", "-b:a", "64k"),
    "aac.m4a": ("-c:a", "aac", "-b:a", "128k"),
    "mp3.mp3": ("-c:a", "libmp3lame", "-b:a", "192k"),
}
_CLIPS_A_TURN = 10
# Files of the same bit rate differ by their headers and by what an encoder makes of a variable rate.
_MOST_OF_SIZE = 0.15


def measure_three(inputs: Inputs, folder: Path, *, rounds: int) -> tuple[list[Row], Turns]:
    """The two rows of Opus, AAC and MP3 from one input."""
    engine = Engine(folder / "wavemill")
    works: dict[str, Work] = {
        "wavemill, three formats": lambda: in_process(lambda: engine.run(inputs.episode, *_OPERATIONS))
    }
    for name, program in peers.ffmpegs().items():
        for target, encoding in _OUTPUTS.items():
            works[f"{name}, {target}"] = _ffmpeg(program, inputs.episode, folder, {target: encoding})
        works[f"{name}, three outputs"] = _ffmpeg(program, inputs.episode, folder, _OUTPUTS)
    turns = take_turns(works, rounds)
    faults = [fault for name in _OUTPUTS for fault in _file_faults(engine.folder / name, folder / name)]
    what = "Opus, AAC and MP3 from one input, beside"
    ours = "wavemill, three formats"
    each = {name: [f"{program}, {name}" for program in peers.ffmpegs()] for name in _OUTPUTS}
    together = {"one process": [f"{program}, three outputs" for program in peers.ffmpegs()]}
    return [
        faster(f"{what} three ffmpeg runs one after another", turns, ours, each, must=1.7, aim=2, faults=faults),
        faster(f"{what} one ffmpeg process with three outputs", turns, ours, together, must=1, aim=1.15, faults=faults),
    ], turns


def measure_clip(inputs: Inputs, folder: Path, *, rounds: int) -> tuple[list[Row], Turns]:
    """The row of the short clip: each turn is several clips, and takes the mean of them."""
    engine = Engine(folder / "wavemill")
    opus = {"opus.opus": _OUTPUTS["opus.opus"]}
    works: dict[str, Work] = {
        "wavemill, clip": lambda: in_process(lambda: engine.run(inputs.clip, _OPERATIONS[0])),
        **{f"{name}, clip": _ffmpeg(program, inputs.clip, folder, opus) for name, program in peers.ffmpegs().items()},
    }
    engine.run(inputs.clip, _OPERATIONS[0])
    turns = take_turns({name: _several(work) for name, work in works.items()}, rounds)
    row = faster(
        "a 5-second clip to Opus in a warm process, beside one process of ffmpeg",
        turns,
        "wavemill, clip",
        {"ffmpeg": list(works)[1:]},
        must=1,
        aim=1.5,
        faults=_file_faults(engine.folder / "opus.opus", folder / "opus.opus"),
    )
    return [row], turns


def _several(work: Work) -> Work:
    def mean() -> Taken:
        taken = [work() for _ in range(_CLIPS_A_TURN)]
        return Taken(
            sum(each.wall for each in taken) / _CLIPS_A_TURN, sum(each.processor for each in taken) / _CLIPS_A_TURN
        )

    return mean


def _ffmpeg(program: str, source: Path, folder: Path, outputs: dict[str, tuple[str, ...]]) -> Work:
    targets = [word for name, encoding in outputs.items() for word in ("-map", "0:a", *encoding, folder / name)]
    command: Sequence[object] = (program, "-nostdin", "-v", "error", "-y", "-i", source, *targets)
    return lambda: of_program(command)


def _file_faults(ours: Path, theirs: Path) -> list[str]:
    """Is it the same amount of sound, in about as many bytes?"""
    size = ours.stat().st_size / theirs.stat().st_size
    return [
        *differs(f"length of {ours.name}", _seconds(ours), _seconds(theirs), most=0.06, unit="s"),
        *differs(f"size of {ours.name}", round(size, 2), 1, most=_MOST_OF_SIZE, unit="x"),
    ]


def _seconds(path: Path) -> float:
    """Of the container, as ffmpeg says it."""
    said = ffmpeg("-i", path, "-t", "0", "-f", "null", "-")
    match = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said)
    assert match is not None, said
    hours, minutes, seconds = match.groups()
    return round(3600 * int(hours) + 60 * int(minutes) + float(seconds), 2)
