"""Ends the process groups of an owner that died without ending them itself, as after `kill -9`.

A program of its own, with the standard library only: `ChildProcess` starts one guard for each owner and
tells it by a pipe which groups to watch ("+pgid") and which have ended ("-pgid"). The kernel closes the pipe
when the owner is gone, however it went; what is still watched then gets SIGTERM, and soon after SIGKILL.

PR_SET_PDEATHSIG is no substitute: it reaches a child but not the child's children (a busy prefork worker
would live on), fires when the starting *thread* ends, and is Linux's alone.
"""

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 5.0


def watched_when_owner_ended(messages: Iterable[str]) -> set[int]:
    """The groups that are left when the owner's end of the pipe closes."""
    groups: set[int] = set()
    for message in messages:
        group = int(message[1:])
        if message.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def end(groups: Iterable[int], grace_seconds: float = GRACE_SECONDS) -> None:
    """SIGTERM to each group, SIGKILL to what is left after the grace."""
    remaining = {group for group in groups if _signal(group, signal.SIGTERM) and _signal(group, signal.SIGCONT)}
    deadline = time.monotonic() + grace_seconds
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = {group for group in remaining if _signal(group, 0)}
    for group in remaining:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    """Whether the group still has a process that could be sent the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    end(watched_when_owner_ended(sys.stdin))
