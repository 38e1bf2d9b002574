"""One large upload: what it costs the API in memory, and what other requests lose by it."""

import asyncio
import hashlib
import statistics
import time
from collections.abc import Sequence
from typing import Any

from shared.blobs import Blobs, input_key
from tests.benchmarks.api.clients import asking, send, submit_waiting_jobs
from tests.benchmarks.api.memory import MemoryWatch, resident_mb
from tests.benchmarks.api.sender import pieces
from tests.benchmarks.jobs.servers import API, Served, Servers
from tests.benchmarks.report import Row

REQUESTS_PER_SECOND = 20
JOBS_LISTED = 50
_ASKED = ("/api/jobs",)
_WARM_UP_SECONDS = 5.0
# Of a small upload, in a short try: some requests are needed for any figure.
_SHORTEST_SECONDS = 1.0


def measure(servers: Servers, *, size: int, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The rows, and all rounds: in each the API is idle but for the other requests, and then has an upload too."""
    servers.empty_redis()
    with servers.serving(API, migrated=True, max_upload_bytes=size) as api:
        submit_waiting_jobs(api, JOBS_LISTED)
        _idle(api, _WARM_UP_SECONDS)
        before = resident_mb(api.process.pid)
        # Counts for the memory alone; and says how long the others will take.
        uploads = [_upload(api, 0, size)]
        idle = []
        for number in range(1, rounds + 1):
            idle.append(_idle(api, max(uploads[-1]["seconds"], _SHORTEST_SECONDS)))
            uploads.append(_upload(api, number, size))
    peaks = [upload["peak_mb"] for upload in uploads]
    taken = list(zip((each["p99_ms"] for each in idle), (each["p99_ms"] for each in uploads[1:]), strict=True))
    gigabytes = f"{size / 1e9:g} GB"
    speed = size / 1e6 / statistics.median(upload["seconds"] for upload in uploads)
    memory = Row(
        what=f"memory (RSS) of one API process at the peak of an upload of {gigabytes}, beside before the first",
        wavemill=f"{statistics.median(peaks):.0f} MB (at {speed:.0f} MB/s)",
        beside=f"{before:.0f} MB",
        compared="difference",
        unit="MB",
        rounds=tuple(peak - before for peak in peaks),
        must=40,
        aim=20,
        better="lower",
        faults=tuple(fault for upload in uploads for fault in upload["faults"]),
    )
    others = Row(
        what=f"p99 of `GET /api/jobs` during such an upload, {REQUESTS_PER_SECOND} requests/s, beside without one",
        wavemill=f"{statistics.median(during for _, during in taken):.1f} ms",
        beside=f"{statistics.median(without for without, _ in taken):.1f} ms",
        compared="ratio",
        rounds=tuple(during / without for without, during in taken),
        must=2.0,
        aim=1.5,
        better="lower",
        faults=tuple(fault for each in (*idle, *uploads) for fault in each["requests_failed"]),
    )
    return (memory, others), {"resident_mb_before": before, "idle": idle, "uploads": uploads}


def _idle(api: Served, seconds: float) -> dict[str, Any]:
    with asking(api, _ASKED, rate=REQUESTS_PER_SECOND) as asked:
        time.sleep(seconds)
    return {**asked.figures, "requests_failed": asked.faults}


def _upload(api: Served, number: int, size: int) -> dict[str, Any]:
    with asking(api, _ASKED, rate=REQUESTS_PER_SECOND) as asked, MemoryWatch(api.process.pid) as memory:
        sent = send(api, number, size)
    digest = hashlib.sha256()
    for piece in pieces(number, size):
        digest.update(piece)
    upload = sent["upload"]
    is_whole = (upload["size_bytes"], upload["sha256"]) == (size, digest.hexdigest())
    asyncio.run(Blobs.from_settings(api.settings).delete([input_key(upload["sha256"])]))
    print(f"  {sent['seconds']:.1f} s, {memory.peak:.0f} MB, p99 {asked['p99_ms']:.1f} ms", flush=True)  # noqa: T201
    return {
        **asked.figures,
        "requests_failed": asked.faults,
        "seconds": sent["seconds"],
        "peak_mb": memory.peak,
        "faults": () if is_whole else ("what was stored is not what was sent",),
    }
