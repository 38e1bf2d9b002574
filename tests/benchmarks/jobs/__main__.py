"""`make bench-jobs`: how fast the life of a job is, beside Celery, procrastinate, a bare INSERT and ffmpeg."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deploy.local.servers import PostgresServer, RedisServer
from tests.benchmarks.jobs import accepting, growth, one_clip, throughput
from tests.benchmarks.jobs.servers import Servers
from tests.benchmarks.report import Machine, Outcome, Row
from tests.conftest import ROOT

Measured = tuple[Sequence[Row], dict[str, Any]]
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, say it, keep it; 1 when a row misses what it must reach."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.jobs", description=__doc__)
    parser.add_argument("--keep", type=Path, default=ROOT / "data" / "benchmarks", help="folder for the raw JSON")
    parser.add_argument("--jobs", type=int, default=5000, help="no-op jobs a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", choices=["throughput", "accepting", "one-clip", "growth"])
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose section is written anew")
    arguments = parser.parse_args()
    machine = Machine.this()
    rows: list[Row] = []
    raw: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, PostgresServer(fsync=True) as postgres, RedisServer() as redis:
        servers = Servers(postgres, redis)
        parts: dict[str, Callable[[], Measured]] = {
            "throughput": lambda: throughput.measure(servers, jobs=arguments.jobs, rounds=arguments.rounds),
            "accepting": lambda: accepting.measure(servers, rounds=arguments.rounds),
            "one-clip": lambda: one_clip.measure(servers, rounds=arguments.rounds),
            "growth": lambda: growth.measure(servers, Path(folder), rounds=arguments.rounds),
        }
        for name, measure in parts.items():
            if arguments.only and name not in arguments.only:
                continue
            print(f"{name} ...", flush=True)  # noqa: T201 - a command
            more, raw[name] = measure()
            raw[name]["load_average_after"] = os.getloadavg()[0]
            rows += more
    outcome = Outcome("jobs", machine, rows, _notes(machine), raw)
    print(f"\n{machine}\n\n{outcome.table()}\n\n{outcome.keep(arguments.keep)}")  # noqa: T201 - a command
    if not arguments.only:
        outcome.write_into(arguments.page)
    return 0 if outcome.holds else 1


def _notes(machine: Machine) -> list[str]:
    celery, procrastinate = version("celery"), version("procrastinate")
    return [
        (
            f"Celery {celery}: acks late, prefetch 1, no results, no database. procrastinate {procrastinate}: two "
            "worker processes with one job each at a time. Jobs are submitted one by one while the workers work, "
            "timed from the first submission to the last job's end; no child is replaced meanwhile, and all log only "
            "warnings. Each round begins with another of the three, each after a checkpoint."
        ),
        "PostgreSQL syncs to disk as it does by default (fsync on), for all alike; Redis keeps nothing on disk.",
        "The load comes from a small asyncio client in a process of its own; the raw figures have its processor time.",
        "The bare handler uses Wavemill's engine and its driver options, and its INSERT is a transaction by itself.",
        (
            f"The load average was {machine.load_before} before the run and "
            f"{os.getloadavg()[0]:.2f} at its end, on {machine.cores} cores; the run itself adds about {machine.cores}."
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
