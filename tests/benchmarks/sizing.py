"""`make sizing`: what one processor core of a media worker does in an hour, into docs/deploy.md.

Real jobs go through the API, PostgreSQL, Redis and one worker with one child. Counted is the processor time of each
job as its attempt has it on the record, which other work on the machine stretches less than it does the clock.
"""

# ruff: noqa: T201 - what it says is what it is for
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.servers import PostgresServer, RedisServer
from tests.audio_files import ffmpeg, recording
from tests.benchmarks.report import Machine
from tests.conftest import migrate
from tests.system import ROOT, System

_ROUNDS = 3
_EPISODE_SECONDS = 600
_CLIP_SECONDS = 44
Operations = Sequence[Mapping[str, object]]
_MEASURED = ({"op": "loudness"}, {"op": "waveform"}, {"op": "silence"})
WORK: Mapping[str, Operations] = {
    "loudness": ({"op": "loudness"},),
    "waveform": ({"op": "waveform"},),
    "loudness, waveform and silence": _MEASURED,
    "spectrogram": ({"op": "spectrogram"},),
    "Opus at 64 kbit/s": ({"op": "transcode", "format": "opus", "bitrate_kbps": 64},),
    "MP3 at 192 kbit/s": ({"op": "transcode", "format": "mp3", "bitrate_kbps": 192},),
    "FLAC at -16 LUFS": ({"op": "normalize", "target_lufs": -16},),
    "loudness, waveform, Opus and FLAC at -16 LUFS": (
        *_MEASURED[:2],
        {"op": "transcode", "format": "opus", "bitrate_kbps": 64},
        {"op": "normalize", "target_lufs": -16},
    ),
}


def main() -> int:
    """Measure, say it, and write it onto the page."""
    machine = Machine.this()
    with tempfile.TemporaryDirectory(prefix="wavemill-sizing-") as folder, RedisServer() as redis:
        episode, clip = Path(folder) / "episode.mp3", Path(folder) / "clip.mp3"
        for path, seconds in ((episode, _EPISODE_SECONDS), (clip, _CLIP_SECONDS)):
            loop = ("-stream_loop", "-1", "-i", recording(), "-t", str(seconds))
            ffmpeg(*loop, "-ac", "2", "-ar", "44100", "-b:a", "192k", path)
        with PostgresServer() as postgres:
            migrate(postgres.url)
            with System(Path(folder) / "system", database_url=postgres.url, redis=redis) as system:
                system.start(concurrency=1)
                # The first job pays for what a new child loads.
                _processor_seconds(system, clip, _MEASURED)
                lines = [_line(system, episode, clip, name, operations) for name, operations in WORK.items()]
    head = ("one core does in an hour", "audio, of 10-minute files", "jobs of 44 s")
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---", "---:", "---:"), *lines))
    print(f"{machine}\n\n{table}")
    _write(ROOT / "docs" / "deploy.md", f"{machine}.\n\n{table}")
    return 0


def _line(system: System, episode: Path, clip: Path, name: str, operations: Operations) -> tuple[str, str, str]:
    long = statistics.median(_processor_seconds(system, episode, operations) for _ in range(_ROUNDS))
    short = statistics.median(_processor_seconds(system, clip, operations) for _ in range(_ROUNDS))
    print(f"{name}: {long:.2f} s and {short:.3f} s", flush=True)
    return name, f"{_EPISODE_SECONDS / long:.0f} h", f"{3600 / short:,.0f}"


def _processor_seconds(system: System, audio: Path, operations: Operations) -> float:
    """Of one job's only attempt."""
    job = system.finished(system.submit(audio, *operations)["id"])
    (attempt,) = job["attempts"]
    assert job["status"] == "succeeded", job
    return float(attempt["cpu_seconds"])


def _write(page: Path, text: str) -> None:
    begin, end = "<!-- sizing: begin -->", "<!-- sizing: end -->"
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    assert found, f"{page} lacks the markers {begin} and {end}"
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


if __name__ == "__main__":
    sys.exit(main())
