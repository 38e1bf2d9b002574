"""`python -m tests.chaos --minutes 10 --seed 1`: faults for so long, the figures, and docs/reliability.md."""

# ruff: noqa: T201 - what it says is what it is for
import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import report, schedule
from tests.chaos.run import Outcome, Plan, machine, run
from tests.system import ROOT

JOBS_PER_MINUTE = 115
_GAP_SECONDS = (3.0, 6.0)


def main() -> int:
    """Run; 0 when the promise was kept with every seed."""
    asked = _arguments()
    where = machine()
    outcomes = [_run(seed, asked.minutes, asked.checkout) for seed in asked.seed]
    print(f"\n{where}\n\n{report.table(outcomes)}\n\n{report.faults_table(outcomes)}", flush=True)
    if any(outcome.breaches for outcome in outcomes):
        print("\nThe promise was broken; docs/reliability.md stays as it is.")
        return 1
    report.write_page(outcomes, where)
    print("\nThe promise was kept; docs/reliability.md has the figures.")
    return 0


def _run(seed: int, minutes: float, checkout: Path) -> Outcome:
    seconds = minutes * 60
    faults = schedule.drawn(seed, first=3.0, last=seconds - 3.0, gap=_GAP_SECONDS)
    watched = shutil.which("prometheus") is not None
    plan = Plan(
        seed,
        seconds,
        jobs=round(minutes * JOBS_PER_MINUTE),
        faults=faults,
        checkout=checkout,
        watched=watched,
    )
    if not watched:
        print("LEFT OUT: whether the right alerts are raised, for there is no prometheus on the PATH.")
    folder = Path(tempfile.mkdtemp(prefix="wavemill-chaos-"))
    print(f"seed {seed}: {plan.jobs} jobs and {len(faults)} faults in {seconds:.0f} s", flush=True)
    outcome = asyncio.run(run(plan, folder, say=lambda line: print(line, flush=True)))
    print(report.table([outcome]), flush=True)
    if outcome.breaches:
        for breach in outcome.breaches:
            print(f"BROKEN ({breach.kind}): {breach.what}")
        print(f"The services' log and the blobs are in {folder}")
    else:
        shutil.rmtree(folder)
    return outcome


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long jobs are submitted and faults happen")
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="one run for each seed")
    parser.add_argument("--checkout", type=Path, default=ROOT, help="folder with the services' code; this one if unset")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
