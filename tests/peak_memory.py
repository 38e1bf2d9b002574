"""How much memory the audio engine needs for a job at most: in a process of its own, which does nothing else."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from services.worker.audio.engine import process
from shared.schema.operations import AnyOperation, operations_adapter

EVERYTHING: tuple[AnyOperation, ...] = operations_adapter.validate_python(
    [
        *({"op": op} for op in ("probe", "loudness", "spectrogram", "silence")),
        {"op": "waveform", "formats": ["dat", "json"]},
        *({"op": "transcode", "format": audio_format} for audio_format in ("mp3", "opus", "aac", "flac", "wav")),
        {"op": "normalize", "target_lufs": -30},
    ]
)


def peak_mib(source: Path, operations: Sequence[AnyOperation] = EVERYTHING) -> float:
    """Mebibytes that were resident at most while a job was done on `source`, in a new process."""
    asked = operations_adapter.dump_json(tuple(operations))
    command = [sys.executable, "-m", "tests.peak_memory", str(source), asked.decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return float(json.loads(done.stdout)["peak_mib"])


def peak_of_this_process() -> float:
    """Mebibytes. Not getrusage's: that one is inherited from the process that started this one."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024


def forget_peak_of_this_process() -> None:
    """The peak is from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _main() -> None:
    source, operations = Path(sys.argv[1]), operations_adapter.validate_json(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="wavemill-peak-", dir=source.parent) as folder:
        process(source, operations, Path(folder))
    json.dump({"peak_mib": peak_of_this_process()}, sys.stdout)


if __name__ == "__main__":
    _main()
