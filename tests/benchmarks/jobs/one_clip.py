"""One short clip on an idle system, from the POST to the artifact, beside one ffmpeg process doing the same encode."""

import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from tests.audio_files import ffmpeg, recording
from tests.benchmarks.jobs.servers import Servers
from tests.benchmarks.report import Row
from tests.system import System

CLIP_SECONDS = 5
BITRATE_KBPS = 64
CLIPS_A_ROUND = 10
WARM_UP_CLIPS = 4


def measure(servers: Servers, *, rounds: int) -> tuple[Sequence[Row], dict[str, Any]]:
    """The row, and all clips: in each round Wavemill and each ffmpeg have their turns, clip by clip."""
    with tempfile.TemporaryDirectory() as name, servers.database(migrated=True) as url:
        servers.empty_redis()
        folder = Path(name)
        clip = folder / "clip.wav"
        ffmpeg("-i", recording(), "-t", str(CLIP_SECONDS), clip)
        with System(folder, database_url=url, redis=servers.redis) as system:
            system.start()
            for _ in range(WARM_UP_CLIPS):
                _wavemill(system, clip)
            taken = [_round(system, clip, folder) for _ in range(rounds)]
    wavemill = [1000 * statistics.median(each["wavemill"]) for each in taken]
    fastest = [
        1000 * min(statistics.median(times) for name, times in each.items() if name != "wavemill") for each in taken
    ]
    row = Row(
        what=f"a {CLIP_SECONDS}-second clip to Opus on an idle system, from the POST with its bytes to the artifact",
        wavemill=f"{statistics.median(wavemill):.0f} ms",
        beside=f"{statistics.median(fastest):.0f} ms (ffmpeg)",
        compared="difference",
        rounds=tuple(ours - theirs for ours, theirs in zip(wavemill, fastest, strict=True)),
        must=60,
        aim=30,
        better="lower",
    )
    return (row,), {"seconds": taken}


def _round(system: System, clip: Path, folder: Path) -> dict[str, list[float]]:
    peers = {"ffmpeg of imageio-ffmpeg": imageio_ffmpeg.get_ffmpeg_exe()}
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        peers["ffmpeg on the PATH"] = on_path
    taken: dict[str, list[float]] = {"wavemill": [], **{name: [] for name in peers}}
    for _ in range(CLIPS_A_ROUND):
        taken["wavemill"].append(_wavemill(system, clip))
        for name, program in peers.items():
            taken[name].append(_ffmpeg(program, clip, folder / "peer.opus"))
    print({name: round(1000 * statistics.median(times)) for name, times in taken.items()}, flush=True)  # noqa: T201
    return taken


def _wavemill(system: System, clip: Path) -> float:
    began = time.perf_counter()
    job = system.submit(clip, {"op": "transcode", "format": "opus", "bitrate_kbps": BITRATE_KBPS})
    with system.client.stream("GET", f"/api/jobs/{job['id']}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data:") and json.loads(line[5:])["status"] in {"succeeded", "failed"}:
                break
    answer = system.client.get(f"/api/jobs/{job['id']}/artifacts/transcode.opus")
    took = time.perf_counter() - began
    if not answer.is_success or not answer.content.startswith(b"OggS"):
        raise RuntimeError(f"no artifact: {answer.text[:500]}")
    return took


def _ffmpeg(program: str, clip: Path, target: Path) -> float:
    began = time.perf_counter()
    command = [program, "-nostdin", "-v", "error", "-y", "-i", str(clip), "-c:a", "libopus", "-b:a", f"{BITRATE_KBPS}k"]
    subprocess.run([*command, str(target)], check=True)
    return time.perf_counter() - began
