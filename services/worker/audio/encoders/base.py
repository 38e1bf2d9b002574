"""The one face of every encoder."""

import os
import queue
import sys
import threading
from abc import ABC, abstractmethod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from services.worker.audio.pcm import Samples
from services.worker.audio.threads import started

Packed: TypeAlias = NDArray[Any]
"""Samples in the type and order that an encoder takes."""

_QUEUE_PIECES = 4
# Of niceness: a tenth of the weight.
_STEP, _NICEST = 10, 19


class Encoder(ABC):
    """Writes one file. Used by one thread at a time.

    It encodes in another: meanwhile, what comes next is mixed, resampled and brought into the encoder's sample format.
    What goes wrong there is raised by a later call.
    """

    def __init__(self, *, is_slowest: bool) -> None:
        """Nothing is encoded yet.

        Args:
            is_slowest: whether no other encoder takes longer. All outputs of a job are fed with the same blocks, so
                that each waits for the slowest; where processors are few, its thread goes first.
        """
        self._is_slowest = is_slowest
        self._pieces: queue.Queue[Packed | None] = queue.Queue(_QUEUE_PIECES)
        self._failure: BaseException | None = None
        self._thread: threading.Thread | None = None

    def write(self, samples: Samples) -> None:
        """Encode some samples, shape (channels, frames), full scale 1.0; what is beyond is clipped by integer formats.

        Raises:
            OSError: the file cannot be written.
            MemoryError: there is no room for another thread.
        """
        if self._thread is None:
            self._thread = started("encode", self._encode_all)
        self._raise_failure()
        self._pieces.put(self._pack(samples))

    def finish(self) -> None:
        """Encode what is left, write the headers, close the file.

        Raises:
            OSError: the file cannot be written.
        """
        self._join()
        self._raise_failure()
        self._close()

    def abort(self) -> None:
        """Close the file, as it is; never raises."""
        self._failure = self._failure or RuntimeError("the encoder was aborted")
        self._join()
        self._abandon()

    @abstractmethod
    def _pack(self, samples: Samples) -> Packed:
        """Bring samples into what the encoder takes."""

    @abstractmethod
    def _encode(self, packed: Packed) -> None:
        """Encode some samples, in the encoder's thread."""

    @abstractmethod
    def _close(self) -> None:
        """Encode what is left, write the headers, close the file."""

    @abstractmethod
    def _abandon(self) -> None:
        """Close the file, as it is; never raises."""

    def _join(self) -> None:
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()
            self._thread = None

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _encode_all(self) -> None:
        if not self._is_slowest:
            _let_others_go_first()
        while (piece := self._pieces.get()) is not None:
            # After a failure the rest is only taken away, so that nobody waits for room.
            if self._failure is None:
                try:
                    self._encode(piece)
                except BaseException as error:
                    self._failure = error


def _let_others_go_first() -> None:
    """Of the calling thread; by POSIX it would be the whole process, which only Linux's threads are not."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, min(_NICEST, os.getpriority(os.PRIO_PROCESS, 0) + _STEP))
