"""`make bench-api`: a large upload beside other requests, and many open event streams, in one API process."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from deploy.local.servers import PostgresServer, RedisServer
from tests.benchmarks.api import large_upload, open_streams
from tests.benchmarks.jobs.servers import Servers
from tests.benchmarks.report import Machine, Outcome, Row
from tests.conftest import ROOT

Measured = tuple[Sequence[Row], dict[str, Any]]
PAGE = ROOT / "docs" / "benchmarks.md"


def main() -> int:
    """Measure, say it, keep it; 1 when a row misses what it must reach."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.api", description=__doc__)
    parser.add_argument("--keep", type=Path, default=ROOT / "data" / "benchmarks", help="folder for the raw JSON")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=2000, help="of the upload")
    parser.add_argument("--streams", type=int, default=1000, help="that are open")
    parser.add_argument("--crowd", type=int, default=3000, help="streams of the last round, which looks at the memory")
    parser.add_argument("--seconds", type=float, default=20.0, help="of requests beside the streams, in each round")
    parser.add_argument("--only", action="append", choices=["upload", "streams"])
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose section is written anew")
    arguments = parser.parse_args()
    machine = Machine.this()
    rows: list[Row] = []
    raw: dict[str, Any] = {}
    with PostgresServer(fsync=True) as postgres, RedisServer() as redis:
        servers = Servers(postgres, redis)
        parts: dict[str, Callable[[], Measured]] = {
            "upload": lambda: large_upload.measure(
                servers, size=arguments.megabytes * 1_000_000, rounds=arguments.rounds
            ),
            "streams": lambda: open_streams.measure(
                servers,
                streams=arguments.streams,
                crowd=arguments.crowd,
                seconds=arguments.seconds,
                rounds=arguments.rounds,
            ),
        }
        for name, measure in parts.items():
            if arguments.only and name not in arguments.only:
                continue
            print(f"{name} ...", flush=True)  # noqa: T201 - a command
            more, raw[name] = measure()
            raw[name]["load_average_after"] = os.getloadavg()[0]
            rows += more
    outcome = Outcome("api", machine, rows, _notes(machine), raw)
    print(f"\n{machine}\n\n{outcome.table()}\n\n{outcome.keep(arguments.keep)}")  # noqa: T201 - a command
    if not arguments.only:
        outcome.write_into(arguments.page)
    return 0 if outcome.holds else 1


def _notes(machine: Machine) -> list[str]:
    return [
        (
            "One API process, as `uvicorn services.api.app:app` starts it, over PostgreSQL (fsync on), Redis and a "
            "folder as its blob store. Each client is a process of its own on the same machine: what it takes of the "
            "processors is part of what is measured, and its own share is in the raw figures."
        ),
        (
            "The upload is one multipart request, made up as it is sent, and other bytes each time; what was stored is "
            "compared with what was sent by SHA-256. The first upload counts for the memory alone. Then, in each "
            "round, the requests are measured without an upload for as long as the last one took, and at once again "
            f"during one. `GET /api/jobs` lists {large_upload.JOBS_LISTED} jobs."
        ),
        (
            "Requests are sent at even distances whether or not earlier ones have been answered, and timed from the "
            "moment at which each was due. p99 is that of a round, and the table has the median of the rounds."
        ),
        (
            "Nine of ten streams follow a job each that waits, the others all jobs. They stay open over all rounds, "
            "and in each round every one must hear an event or a heartbeat. The most streams are open for a round of "
            "their own, when several follow a job. Memory (MB of 10^6 bytes) is looked at 20 times a second."
        ),
        (
            f"The load average was {machine.load_before} before the run and "
            f"{os.getloadavg()[0]:.2f} at its end, on {machine.cores} cores; the run itself adds up to {machine.cores}."
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
