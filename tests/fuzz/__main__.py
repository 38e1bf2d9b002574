"""`make fuzz`: thousands of damaged files through the audio engine, in processes that may die without harm."""

# ruff: noqa: T201 - what it says is what it is for
import argparse
import hashlib
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.fuzz.damage import Hostile, hostile_files
from tests.fuzz.sandbox import Sandbox, Verdict, sandbox

_REPORT_EVERY = 500


class Tally:
    """What became of the files, with those kept that were not taken as they must."""

    def __init__(self, folder: Path) -> None:
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.peak_mib = 0
        self._folder = folder
        self._began = time.monotonic()

    def count(self, file: Hostile, operation: int, verdict: Verdict) -> None:
        """Take in one."""
        if (verdict.peak_mib or 0) > self.peak_mib:
            self.peak_mib = verdict.peak_mib or 0
            self._keep(file, operation, f"most memory so far, {self.peak_mib} MiB")
        self.outcomes["FAULT" if verdict.is_fault else verdict.outcome] += 1
        if verdict.is_fault:
            self.faults[verdict.outcome] += 1
            self._keep(file, operation, verdict.outcome)
        if self.outcomes.total() % _REPORT_EVERY == 0:
            print(self, flush=True)

    def _keep(self, file: Hostile, operation: int, why: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / f"{hashlib.sha256(file.content).hexdigest()[:16]}-{file.seed}"
        kept.write_bytes(file.content)
        print(f"{why}: {kept} as {file.name}, operation {operation}", flush=True)

    def __str__(self) -> str:
        seconds = time.monotonic() - self._began
        outcomes = ", ".join(f"{outcome} {count}" for outcome, count in self.outcomes.most_common())
        return f"{self.outcomes.total()} files in {seconds:.0f} s, at most {self.peak_mib} MiB: {outcomes}"


def main() -> int:
    """Open them all; 1 when one did what must not happen."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="another one draws other files")
    parser.add_argument("--keep", type=Path, default=ROOT / "data" / "fuzz", help="folder for files with a fault")
    arguments = parser.parse_args()
    tally = Tally(arguments.keep)
    with tempfile.TemporaryDirectory(prefix="wavemill-fuzz-") as folder, sandbox(Path(folder)) as box:
        _open_all(box, tally, arguments.inputs, arguments.seed)
    print(f"{tally}; processes that died: {box.deaths}")
    for fault, count in tally.faults.most_common():
        print(f"FAULT, {count} times: {fault}")
    return 1 if tally.faults else 0


def _open_all(box: Sandbox, tally: Tally, inputs: int, number: int) -> None:
    # Hypothesis only draws here: a fault is counted, and the next file comes.
    @seed(number)
    @settings(
        max_examples=inputs,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(file=hostile_files(), operation=st.integers(0, 1000))
    def open_one(file: Hostile, operation: int) -> None:
        tally.count(file, operation, box.open(file, operation))

    open_one()


if __name__ == "__main__":
    sys.exit(main())
