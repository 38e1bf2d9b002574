"""The end of a task that runs in the background."""

import asyncio
from typing import Any

_AGAIN_SECONDS = 0.2


async def cancel(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, and wait for their end; what one of them raised meanwhile is dropped.

    One time may not do: a cancellation that comes while redis-py ends a command of its own is lost there, and a task
    that goes on after it would be waited for without end.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        ended, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
        for task in ended:
            if not task.cancelled():
                # Looked at, or asyncio logs that nobody did.
                task.exception()
