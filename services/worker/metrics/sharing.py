"""Where the children's counts are: in a folder of their worker's own, one slot for each child."""

import os
import shutil
import tempfile
from pathlib import Path

from prometheus_client import CollectorRegistry, values
from prometheus_client.values import MultiProcessValue

from services.worker.metrics.attempts import AttemptMetrics
from services.worker.metrics.fetches import FetchMetrics
from services.worker.metrics.slots import Slot
from shared.settings import Settings

# prometheus_client's own.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class WorkerFolder:
    """A worker's folder, empty at its start; one that a worker has left behind is used again."""

    def __init__(self, settings: Settings) -> None:
        """Take it, and tell the children by the environment.

        Raises:
            SystemExit: another user has put something in its place.
        """
        parent = settings.scratch_dir or Path(tempfile.gettempdir())
        folder = parent / f"wavemill-metrics-{os.getuid()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The folder for temporary files is everybody's.
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise SystemExit(f"The folder {folder} is another user's; set WAVEMILL_SCRATCH_DIR to one of your own.")
        # Of several workers on a host each has a place of its own.
        self._place = Slot.take(folder)
        self.path = folder / str(self._place.number)
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        os.environ[_FOLDER] = str(self.path)


class ChildMetrics:
    """A child's metrics, in the slot that it has taken."""

    def __init__(self, settings: Settings) -> None:
        """Made after the fork: neither the slot nor a lock of prometheus_client crosses one."""
        self._slot: Slot | None = None
        if settings.worker_metrics_port and _FOLDER in os.environ:
            slot = self._slot = Slot.take(Path(os.environ[_FOLDER]))
            # As prometheus_client's documentation has it for uWSGI, whose workers have numbers too.
            values.ValueClass = MultiProcessValue(lambda: slot.number)  # type: ignore[no-untyped-call]  # as there
        registry = CollectorRegistry()
        self.attempts = AttemptMetrics(registry, slot=self._slot.number if self._slot else 0)
        self.fetches = FetchMetrics(registry)
        if self._slot is not None and self._slot.predecessor_died:
            self.attempts.child_lost()

    def close(self) -> None:
        """Leave the slot to the next child."""
        self.attempts.used_cpu()
        if self._slot is not None:
            self._slot.leave()
