"""SIGTERM: running jobs may still end in the soft-shutdown time; then the rest are handed back.

Celery's warm shutdown waits for running tasks without end, and its soft shutdown belongs to the cold one, which
kills. Here the warm one gets an end: the children that still work get SIGTERM, hand their jobs back and exit.
"""

import os
import signal
import threading
from contextlib import suppress

import structlog
from celery.worker import state

log = structlog.get_logger()


def hand_back_after(seconds: float) -> None:
    """Ask the children that still work then to hand back what they have."""
    timer = threading.Timer(seconds, _interrupt_children)
    timer.daemon = True
    timer.start()


def _interrupt_children() -> None:
    for request in tuple(state.active_requests):
        pid = request.worker_pid
        if pid is not None:
            log.info("handing back", task_id=request.id, pid=pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
