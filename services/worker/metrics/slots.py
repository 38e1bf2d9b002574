"""Places that processes take and leave: each has a number, the lowest that was free, which no other has meanwhile."""

import fcntl
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

_SUFFIX = ".slot"


class Slot:
    """A process's place in a folder: a locked file, which the kernel unlocks however the process ends."""

    def __init__(self, number: int, descriptor: int, *, predecessor_died: bool) -> None:
        self.number = number
        self.predecessor_died = predecessor_died
        """Whether who had the place before did not leave it in order."""
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take the lowest place that is free."""
        for number in itertools.count():
            descriptor = os.open(folder / f"{number}{_SUFFIX}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            predecessor_died = os.fstat(descriptor).st_size > 0
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            return cls(number, descriptor, predecessor_died=predecessor_died)
        raise AssertionError("not reached: the numbers do not end")

    def leave(self) -> None:
        """Let another have the place."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def holders(folder: Path) -> Mapping[int, int]:
    """Process ids by the places that they have taken; a process may have died since."""
    written = {int(path.stem): path.read_text() for path in folder.glob(f"*{_SUFFIX}")}
    return {number: int(pid) for number, pid in sorted(written.items()) if pid}
