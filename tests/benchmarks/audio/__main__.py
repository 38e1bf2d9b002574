"""`make bench-audio`: how fast the audio engine is, beside ffmpeg, ffmpeg-normalize and audiowaveform."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.audio import analyses, formats, long_files, masters, peers
from tests.benchmarks.audio.inputs import Inputs
from tests.benchmarks.audio.turns import Turns, raw
from tests.benchmarks.report import Machine, Outcome, Row
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
_PARTS: dict[str, Callable[..., tuple[Sequence[Row], Turns]]] = {
    "analyses": analyses.measure,
    "masters": masters.measure,
    "three-formats": formats.measure_three,
    "clip": formats.measure_clip,
}
_MEMORY = "memory"


def main() -> int:
    """Measure, say it, keep it; 1 when a row misses what it must reach."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.audio", description=__doc__)
    parser.add_argument("--keep", type=Path, default=ROOT / "data" / "benchmarks", help="folder for the raw JSON")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=[*_PARTS, _MEMORY])
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose section is written anew")
    arguments = parser.parse_args()
    wanted = arguments.only or [*_PARTS, _MEMORY]
    machine = Machine.this()
    rows: list[Row] = []
    kept: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="wavemill-bench-") as name:
        folder = Path(name)
        inputs = Inputs.made_in(folder)
        for part in (part for part in _PARTS if part in wanted):
            print(f"{part} ...", flush=True)  # noqa: T201 - a command
            more, turns = _PARTS[part](inputs, folder, rounds=arguments.rounds)
            rows += more
            kept[part] = {"turns": raw(turns), "load_average_after": os.getloadavg()[0]}
        if _MEMORY in wanted:
            print(f"{_MEMORY} ...", flush=True)  # noqa: T201 - a command
            more, kept[_MEMORY] = long_files.measure(folder)
            rows += more
    outcome = Outcome("audio", machine, rows, _notes(machine), kept)
    print(f"\n{machine}\n\n{outcome.table()}\n\n{outcome.keep(arguments.keep)}")  # noqa: T201 - a command
    if not arguments.only:
        outcome.write_into(arguments.page)
    return 0 if outcome.holds else 1


def _notes(machine: Machine) -> list[str]:
    builds = ", ".join(peers.ffmpegs())
    waveforms = peers.audiowaveform_version() if peers.audiowaveform() else "audiowaveform was not on the PATH"
    return [
        (
            "The input is speech in noise that the benchmark makes by arithmetic: 10 minutes, and 5 s, of 44.1 kHz "
            "stereo MP3 at 192 kbit/s. Everything has one turn in each round; what was first in one round is last in "
            "the next."
        ),
        (
            "Wavemill's engine works in a warm process, as a worker's child is; the tools are started anew each time, "
            "as their users start them. Of several builds of a tool the faster counts."
        ),
        f"Beside it: {builds}, {peers.ffmpeg_normalize_version()}; {waveforms}. Wavemill: PyAV {version('av')}.",
        (
            "A row holds only if the results agree too: loudness within 0.1 LU, true peak within 0.1 dB, the same "
            "silences, waveforms within one step, files of the same length and about the same size."
        ),
        (
            f"The load average was {machine.load_before} before the run and "
            f"{os.getloadavg()[0]:.2f} at its end, on {machine.cores} cores; the run itself adds up to {machine.cores}."
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
