"""Many open event streams in one API process, and requests beside them."""

import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any, Self

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


def measure(
    servers: Servers, *, streams: int, crowd: int, seconds: float, rounds: int
) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows, and all rounds: one without a stream, others with so many open, and one with a crowd of them."""
    allow_open_files(max(streams, crowd) + _OTHER_FILES)
    servers.empty_redis()
    # In a short try the default would leave some streams without a heartbeat.
    heartbeat = min(_HEARTBEAT_SECONDS, 0.75 * seconds)
    with servers.serving(API, migrated=True, events_heartbeat_seconds=heartbeat) as api:
        ids = submit_waiting_jobs(api, streams)
        without = _round(api, [f"/api/jobs/{job_id}" for job_id in ids], seconds)
        before = resident_mb(api.process.pid)
        some = _Held.while_open(api, ids, streams, seconds, rounds)
        many = _Held.while_open(api, ids, crowd, seconds, 1)
    raw = {"resident_mb_before": before, "without": without, "rounds": some.taken, "crowd": many.taken}
    raw |= {"resident_mb_with_streams": some.resident_mb, "resident_mb_with_crowd": many.resident_mb}
    return (
        _answers(some, without),
        _memory(some, before, seconds),
        _memory(many, before, seconds, _times(many.taken)),
    ), raw


@dataclass(frozen=True)
class _Held:
    """Streams that were open in all of some rounds."""

    streams: int
    resident_mb: float
    """When all were open."""
    taken: Sequence[dict[str, Any]]

    @classmethod
    def while_open(cls, api: Served, ids: Sequence[str], streams: int, seconds: float, rounds: int) -> Self:
        of_all = streams // _OF_ALL_JOBS
        jobs = islice(cycle(ids), streams - of_all)
        followed = [*(f"/api/jobs/{job_id}/events" for job_id in jobs), *["/api/events"] * of_all]
        asked = [f"/api/jobs/{job_id}" for job_id in ids]
        with following(api, followed) as opened:
            # What they are told at once is no sign of life later.
            time.sleep(1)
            opened.look()
            resident = resident_mb(api.process.pid)
            return cls(streams, resident, [_round(api, asked, seconds, opened, streams) for _ in range(rounds)])

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(fault for each in self.taken for fault in each["faults"])


def _answers(held: _Held, without: dict[str, Any]) -> Row:
    rates = [each["requests_per_second"] for each in held.taken]
    return Row(
        what=f"`GET /api/jobs/{{id}}` with {held.streams:,} open event streams in one API process, beside the rate "
        "asked",
        wavemill=f"{statistics.median(rates):.1f} requests/s, {_times(held.taken)}; without streams "
        f"{_times([without])}",
        beside=f"{REQUESTS_PER_SECOND} requests/s",
        compared="ratio",
        rounds=tuple(rate / REQUESTS_PER_SECOND for rate in rates),
        must=0.99,
        aim=0.999,
        better="higher",
        faults=(*without["faults"], *held.faults),
    )


def _memory(held: _Held, before: float, seconds: float, *also: str) -> Row:
    ends = [each["resident_mb"][-1] for each in held.taken]
    middles = [each["resident_mb"][len(each["resident_mb"]) // 2] for each in held.taken]
    kb_each = 1000 * (held.resident_mb - before) / held.streams
    return Row(
        what=f"memory (RSS) of that process with {held.streams:,} streams in the second half of {seconds:g} s, at its "
        "peak beside the middle",
        wavemill="; ".join((f"{statistics.median(ends):.0f} MB at the end, {kb_each:.0f} kB a stream", *also)),
        beside=f"{statistics.median(middles):.0f} MB",
        compared="difference",
        unit="MB",
        rounds=tuple(each["late_growth_mb"] for each in held.taken),
        must=20,
        aim=5,
        better="lower",
        faults=held.faults,
    )


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


def _round(
    api: Served, asked: Sequence[str], seconds: float, opened: Streams | None = None, streams: int = 0
) -> dict[str, Any]:
    with asking(api, asked, rate=REQUESTS_PER_SECOND) as paced, MemoryWatch(api.process.pid) as memory:
        time.sleep(seconds)
    faults = list(paced.faults)
    looked: dict[str, int] = {}
    if opened is not None:
        looked = opened.look()
        faults += _faults(looked, streams)
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
