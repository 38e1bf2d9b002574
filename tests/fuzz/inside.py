"""The process in which hostile files are opened: it has a bound on its memory and, for each file, on its time."""

import json
import resource
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from services.worker.address_space import limit
from services.worker.audio.engine import process
from services.worker.audio.errors import AudioError
from services.worker.audio.limits import Limits
from shared.schema.operations import OPERATIONS, AudioFormat, operations_adapter
from tests.peak_memory import forget_peak_of_this_process, peak_of_this_process

# Ten minutes of 48 kHz stereo: a few bytes can stand for hours.
_LIMITS = Limits(decoded_samples=600 * 48_000 * 2)
_MEASURING = ("probe", "loudness", "silence")


def main() -> None:
    """Lines on standard input are files and what to do with them; for each, a line on standard output."""
    cpu_seconds, address_space_mib = int(sys.argv[1]), int(sys.argv[2])
    limit(address_space_mib)
    for line in sys.stdin:
        _bound_processor_time(cpu_seconds)
        print(json.dumps(_open(json.loads(line))), flush=True)  # noqa: T201 - its answer


def _bound_processor_time(seconds: int) -> None:
    """From now on; the kernel ends the process when they are used up."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def _open(asked: dict[str, Any]) -> dict[str, object]:
    outcome = "done"
    forget_peak_of_this_process()
    with tempfile.TemporaryDirectory() as name:
        output = Path(name)
        try:
            process(
                Path(asked["path"]),
                operations_adapter.validate_python(_operations(asked["operation"])),
                output,
                limits=_LIMITS,
                source_name=asked["name"],
            )
        except AudioError as error:
            outcome = error.code
        except MemoryError:
            outcome = "no memory"
        except Exception as error:
            outcome = f"unexpected: {type(error).__name__}: {error}"
        left = [] if outcome == "done" else sorted(path.name for path in output.iterdir())
    if left:
        outcome = f"unexpected: files left behind: {left}"
    if threading.active_count() > 1:
        outcome = f"unexpected: threads left behind: {[thread.name for thread in threading.enumerate()]}"
    return {"outcome": outcome, "peak_mib": round(peak_of_this_process())}


def _operations(number: int) -> list[dict[str, Any]]:
    """Measurements, and one operation of all there are; a transcode is to any format, with all that goes over."""
    turn, place = divmod(number, len(OPERATIONS))
    chosen = OPERATIONS[place].example
    if chosen["op"] == "transcode":
        audio_format = list(AudioFormat)[turn % len(AudioFormat)]
        chosen = {"op": "transcode", "format": audio_format, "loudness_tags": audio_format is not AudioFormat.WAV}
    return [chosen, *({"op": op} for op in _MEASURING if op != chosen["op"])]


if __name__ == "__main__":
    main()
