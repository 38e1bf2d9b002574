"""`python -m services.worker.liveness`: whether the worker's main loop turns, by its heartbeat file.

Asked every few seconds by Docker or Kubernetes, beside children that are busy: it reads one variable and one time
stamp, and imports nothing that would cost more than that.
"""

import os
import sys
import time
from pathlib import Path

_VARIABLE = "WAVEMILL_WORKER_HEARTBEAT_FILE"
# The main loop touches the file every second; on a machine that is short of processors, some seconds late.
_SILENT_SECONDS = 30.0


def complaint() -> str | None:
    """What is wrong, in a sentence; None while the loop turns."""
    name = os.environ.get(_VARIABLE)
    if not name:
        return f"{_VARIABLE} names no file; set it for the worker and for this check."
    try:
        silent = time.time() - Path(name).stat().st_mtime
    except FileNotFoundError:
        return "The worker has not started yet."
    return f"The worker's main loop has not turned for {silent:.0f} s." if silent > _SILENT_SECONDS else None


if __name__ == "__main__":
    sys.exit(complaint())
