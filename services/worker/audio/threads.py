"""Threads of a job."""

import threading
from collections.abc import Callable


def started(name: str, work: Callable[[], None]) -> threading.Thread:
    """A thread that works already.

    Raises:
        MemoryError: there is no room for it. A stack is 8 MiB of the address space, which is bounded in a worker.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise MemoryError("no thread could be started") from error
    return thread
