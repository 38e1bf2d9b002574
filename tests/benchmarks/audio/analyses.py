"""What only looks at the audio: all analyses in one job, loudness alone, the waveform alone."""

import re
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from shared.schema.operations import AnyOperation, Loudness, Probe, Silence, Spectrogram, Waveform
from shared.schema.results import LoudnessResult, SilenceResult
from tests.audio_files import ffmpeg
from tests.benchmarks.audio import peers
from tests.benchmarks.audio.comparison import Builds, differs, faster
from tests.benchmarks.audio.engine import Engine
from tests.benchmarks.audio.inputs import Inputs
from tests.benchmarks.audio.turns import Turns, Work, in_process, of_program, take_turns, wall
from tests.benchmarks.report import Row
from tests.unit.audio.independent import measure as ebur128

SAMPLES_PER_PIXEL = 256
_ALL: tuple[AnyOperation, ...] = (Probe(), Loudness(), Waveform(), Spectrogram(), Silence())
_QUIET = Silence()
_FILTERS = {
    "ebur128": ("-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-"),
    "silencedetect": (
        "-af",
        f"silencedetect=n={_QUIET.threshold_dbfs}dB:d={_QUIET.min_seconds}",
        "-f",
        "null",
        "-",
    ),
}
_NO_AUDIOWAVEFORM = "no audiowaveform on the PATH"


def measure(inputs: Inputs, folder: Path, *, rounds: int) -> tuple[list[Row], Turns]:
    """The rows, from one set of turns."""
    engine = Engine(folder / "wavemill")
    report = engine.run(inputs.episode, *_ALL)
    loudness, silence = report.results["loudness"], report.results["silence"]
    assert isinstance(loudness, LoudnessResult)
    assert isinstance(silence, SilenceResult)
    turns = take_turns(_works(inputs, folder, engine), rounds)
    tools = _tools()
    faults = {
        "loudness": _loudness_faults(inputs.episode, loudness),
        "waveform": _waveform_faults(engine, inputs.episode, folder),
        "silence": _silence_faults(inputs.episode, silence),
    }
    all_tools = {name: builds for name, builds in tools.items() if builds}
    left_out = ", ".join(name for name, builds in tools.items() if not builds)
    rows = [
        faster(
            "probe, loudness with true peak, waveform, spectrogram and silence in one job, beside the separate tools"
            + (f" (without {left_out}, not on the PATH)" if left_out else ""),
            turns,
            "wavemill, all",
            all_tools,
            must=5,
            aim=8,
            faults=[fault for each in faults.values() for fault in each],
        ),
        faster(
            "loudness with true peak, beside ebur128=peak=true",
            turns,
            "wavemill, loudness",
            {"ebur128": tools["ebur128"]},
            must=2.5,
            aim=4,
            faults=faults["loudness"],
        ),
        _waveform_row(turns, tools["audiowaveform"], faults["waveform"]),
        _beside_decoding(turns),
    ]
    return rows, turns


def _works(inputs: Inputs, folder: Path, engine: Engine) -> dict[str, Work]:
    episode, picture = inputs.episode, folder / "spectrum.png"
    works: dict[str, Work] = {
        "wavemill, all": lambda: in_process(lambda: engine.run(episode, *_ALL)),
        "wavemill, loudness": lambda: in_process(lambda: engine.run(episode, Loudness())),
        "wavemill, waveform": lambda: in_process(lambda: engine.run(episode, Waveform())),
        "decoding alone, by PyAV": lambda: in_process(lambda: _decode(episode)),
    }
    for name, program in peers.ffmpegs().items():
        command = (program, "-nostdin", "-hide_banner", "-y", "-i", episode)
        for kind, arguments in _FILTERS.items():
            works[f"{name}, {kind}"] = _program(*command, *arguments)
        works[f"{name}, showspectrumpic"] = _program(*command, "-lavfi", "showspectrumpic=s=1024x512", picture)
    if (ffprobe := peers.ffprobe()) is not None:
        works["ffprobe"] = _program(ffprobe, "-v", "error", "-show_format", "-show_streams", "-of", "json", episode)
    if (audiowaveform := peers.audiowaveform()) is not None:
        works["audiowaveform"] = _program(*_audiowaveform(audiowaveform, episode, folder / "peer.dat"))
    return works


def _program(*command: object) -> Work:
    return lambda: of_program(command)


def _audiowaveform(program: str, source: Path, target: Path) -> tuple[object, ...]:
    return program, "-q", "-i", source, "-o", target, "-z", str(SAMPLES_PER_PIXEL), "-b", "8"


def _tools() -> Mapping[str, Builds]:
    """Each tool of the sum, with the turns that its builds had."""
    of_ffmpeg = {kind: [f"{name}, {kind}" for name in peers.ffmpegs()] for kind in (*_FILTERS, "showspectrumpic")}
    return {
        **of_ffmpeg,
        "ffprobe": ["ffprobe"] if peers.ffprobe() else [],
        "audiowaveform": ["audiowaveform"] if peers.audiowaveform() else [],
    }


def _decode(source: Path) -> None:
    """Every frame, and nothing made of it."""
    with av.open(str(source)) as container:
        for _ in container.decode(audio=0):
            pass


def _waveform_row(turns: Turns, builds: Builds, faults: list[str]) -> Row:
    what = f"waveform, {SAMPLES_PER_PIXEL} samples a pixel, beside audiowaveform"
    if builds:
        return faster(what, turns, "wavemill, waveform", {"audiowaveform": builds}, must=1.7, aim=2.0, faults=faults)
    return Row(
        what=what,
        wavemill=f"{1000 * wall(turns['wavemill, waveform']):.0f} ms",
        beside="",
        compared="ratio",
        rounds=(),
        must=1.7,
        aim=2.0,
        better="higher",
        faults=(_NO_AUDIOWAVEFORM, *faults),
    )


def _beside_decoding(turns: Turns) -> Row:
    ours, decoding = turns["wavemill, waveform"], turns["decoding alone, by PyAV"]
    return Row(
        what="the same, beside decoding alone",
        wavemill=f"{1000 * wall(ours):.0f} ms",
        beside=f"{1000 * wall(decoding):.0f} ms (PyAV {av.__version__})",
        compared="ratio",
        rounds=tuple(mine.wall / other.wall for mine, other in zip(ours, decoding, strict=True)),
        must=None,
        aim=1.15,
        better="lower",
    )


def _loudness_faults(episode: Path, ours: LoudnessResult) -> list[str]:
    theirs = ebur128(episode)
    true_peak = None if ours.true_peak_dbtp is None else round(ours.true_peak_dbtp, 1)
    return [
        *differs("integrated loudness", ours.integrated_lufs, theirs.integrated_lufs, most=0.1, unit="LUFS"),
        # ffmpeg says it to a tenth.
        *differs("true peak", true_peak, theirs.true_peak_dbtp, most=0.1, unit="dBTP"),
    ]


def _silence_faults(episode: Path, ours: SilenceResult) -> list[str]:
    log = ffmpeg("-i", episode, *_FILTERS["silencedetect"])
    lengths = [float(length) for length in re.findall(r"silence_duration: ([\d.]+)", log)]
    return [
        *differs("silences", ours.count, len(lengths), most=0, unit=""),
        *differs("silence", ours.silent_seconds, round(sum(lengths), 3), most=0.01, unit="s"),
    ]


def _waveform_faults(engine: Engine, episode: Path, folder: Path) -> list[str]:
    audiowaveform = peers.audiowaveform()
    if audiowaveform is None:
        return []
    engine.run(episode, Waveform())
    of_program(_audiowaveform(audiowaveform, episode, folder / "peer.dat"))
    ours, theirs = _pixels(engine.folder / "waveform.dat"), _pixels(folder / "peer.dat")
    if len(ours) != len(theirs):
        return [*differs("values of the waveform", len(ours), len(theirs), most=0, unit="")]
    step = int(np.abs(ours - theirs).max())
    return [*differs("largest difference of the waveform", step, 0, most=1, unit="steps")]


def _pixels(path: Path) -> NDArray[np.int64]:
    """The values of a .dat file of either version."""
    data = path.read_bytes()
    version = int.from_bytes(data[:4], "little")
    return np.frombuffer(data, np.int8, offset=20 if version == 1 else 24).astype(np.int64)
