"""The memory of a process, looked at all the time."""

import threading
from types import TracebackType
from typing import Self

import psutil

MEGABYTE = 1_000_000
_PAUSE_SECONDS = 0.05


def resident_mb(pid: int) -> float:
    """Resident set size now, in megabytes of 10^6 bytes."""
    return float(psutil.Process(pid).memory_info().rss) / MEGABYTE


class MemoryWatch:
    """Looks from the block's beginning to its end, from a thread of its own."""

    def __init__(self, pid: int) -> None:
        self.samples: list[float] = []
        """In megabytes, at even distances."""
        self._pid = pid
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self.samples.append(resident_mb(self._pid))

    @property
    def peak(self) -> float:
        """The most."""
        return max(self.samples)

    @property
    def late_growth(self) -> float:
        """What the peak of the second half has more than the middle."""
        second_half = self.samples[len(self.samples) // 2 :]
        return max(second_half) - second_half[0]

    def _look(self) -> None:
        while not self._ending.is_set():
            self.samples.append(resident_mb(self._pid))
            self._ending.wait(_PAUSE_SECONDS)
