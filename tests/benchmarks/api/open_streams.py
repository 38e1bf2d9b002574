"""Many open event streams in one API process, and requests beside them."""

import resource
import statistics
import time
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.api.clients import Streams, asking, following, submit_waiting_jobs
from tests.benchmarks.api.memory import MemoryWatch, resident_mb
from tests.benchmarks.jobs.servers import API, Served, Servers
from tests.benchmarks.report import Row

REQUESTS_PER_SECOND = 200
# Of all streams one in so many is of all jobs; each other is of a job of its own.
_OF_ALL_JOBS = 10
# The default of the setting.
_HEARTBEAT_SECONDS = 15.0
# Sockets of requests, files of the interpreter, connections to the stores.
_OTHER_FILES = 500


def measure(servers: Servers, *, streams: int, seconds: float, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows, and all rounds: one without a stream, then the others while all of them stay open."""
    allow_open_files(streams + _OTHER_FILES)
    servers.empty_redis()
    # In a short try the default would leave some streams without a heartbeat.
    heartbeat = min(_HEARTBEAT_SECONDS, 0.75 * seconds)
    with servers.serving(API, migrated=True, events_heartbeat_seconds=heartbeat) as api:
        ids = submit_waiting_jobs(api, streams)
        asked = [f"/api/jobs/{job_id}" for job_id in ids]
        of_all = streams // _OF_ALL_JOBS
        followed = [f"/api/jobs/{job_id}/events" for job_id in ids[of_all:]] + ["/api/events"] * of_all
        without = _round(api, asked, seconds)
        before = resident_mb(api.process.pid)
        with following(api, followed) as opened:
            # What they are told at once is no sign of life later.
            time.sleep(1)
            opened.look()
            with_open = resident_mb(api.process.pid)
            taken = [_round(api, asked, seconds, opened) for _ in range(rounds)]
    kb_each = 1000 * (with_open - before) / streams
    rates = [each["requests_per_second"] for each in taken]
    answers = Row(
        what=f"`GET /api/jobs/{{id}}` with {streams:,} open event streams in one API process, beside the rate asked",
        wavemill=f"{statistics.median(rates):.1f} requests/s, {_times(taken)}; without streams {_times([without])}",
        beside=f"{REQUESTS_PER_SECOND} requests/s",
        compared="ratio",
        rounds=tuple(rate / REQUESTS_PER_SECOND for rate in rates),
        must=0.99,
        aim=0.999,
        better="higher",
        faults=tuple(fault for each in (without, *taken) for fault in each["faults"]),
    )
    ends = [each["resident_mb"][-1] for each in taken]
    middles = [each["resident_mb"][len(each["resident_mb"]) // 2] for each in taken]
    memory = Row(
        what=f"memory (RSS) of that process in the second half of {seconds:g} s, at its peak beside the middle",
        wavemill=f"{statistics.median(ends):.0f} MB at the end, {kb_each:.0f} kB a stream",
        beside=f"{statistics.median(middles):.0f} MB",
        compared="difference",
        unit="MB",
        rounds=tuple(each["late_growth_mb"] for each in taken),
        must=20,
        aim=5,
        better="lower",
    )
    raw = {"resident_mb_before": before, "resident_mb_with_streams": with_open, "without": without, "rounds": taken}
    return (answers, memory), raw


def allow_open_files(count: int) -> None:
    """Raise the soft limit of this process and of those that it starts.

    Raises:
        RuntimeError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise RuntimeError(f"{count} open files are needed, and `ulimit -Hn` allows {hard}; ask for fewer --streams")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _round(api: Served, asked: Sequence[str], seconds: float, streams: Streams | None = None) -> dict[str, Any]:
    with asking(api, asked, rate=REQUESTS_PER_SECOND) as paced, MemoryWatch(api.process.pid) as memory:
        time.sleep(seconds)
    faults = list(paced.faults)
    looked: dict[str, int] = {}
    if streams is not None:
        looked = streams.look()
        faults += _faults(looked, len(asked))
    print(f"  p99 {paced['p99_ms']:.1f} ms, {memory.samples[-1]:.0f} MB, streams {looked}", flush=True)  # noqa: T201
    return {
        **paced.figures,
        "streams": looked,
        "resident_mb": memory.samples,
        "late_growth_mb": memory.late_growth,
        "faults": tuple(faults),
    }


def _faults(looked: dict[str, int], wanted: int) -> list[str]:
    if looked["open"] < wanted:
        return [f"{wanted - looked['open']} of {wanted} streams were closed"]
    if looked["heard"] < wanted:
        return [f"{wanted - looked['heard']} of {wanted} streams had neither an event nor a heartbeat"]
    return []


def _times(taken: Sequence[dict[str, Any]]) -> str:
    p50, p99 = (statistics.median(each[name] for each in taken) for name in ("p50_ms", "p99_ms"))
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms"
