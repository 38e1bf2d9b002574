"""How many jobs of a key may wait, and how many bytes may be kept for it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from services.api.access.caller import Caller
from services.api.problems import ProblemError
from shared.store.key_usage import KeyUsage

_LOOK_EVERY_SECONDS = 1.0
# A look that takes long is taken less often: a tenth of the time at most.
_REST = 10.0
_RETRY_SECONDS = 10
_MOST_KEYS = 10_000


@dataclass(slots=True)
class _Figure:
    """A number that the database was asked for, with what this process has added to it since."""

    value: int = 0
    fresh_until: float = field(default=float("-inf"))
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def refresh(self, ask: Callable[[], Awaitable[int]]) -> None:
        """Ask again, if it was asked a while ago: once, and whoever comes meanwhile waits for it."""
        async with self.asking:
            began = time.monotonic()
            if began >= self.fresh_until:
                self.value = await ask()
                self.fresh_until = began + max(_LOOK_EVERY_SECONDS, _REST * (time.monotonic() - began))


@dataclass(slots=True)
class _Load:
    queued: _Figure = field(default_factory=_Figure)
    stored: _Figure = field(default_factory=_Figure)


class Quotas:
    """What keys may have, seen about once a second by each API process: limits are overshot by what others accept."""

    def __init__(self, usage: KeyUsage) -> None:
        self._usage = usage
        self._loads: dict[UUID, _Load] = {}

    async def admit(self, caller: Caller, *, jobs: int) -> None:
        """Let so many more jobs of a key come.

        Raises:
            ProblemError: 429, too many of its jobs wait; 507, too many bytes are kept for it.
        """
        limits, key_id = caller.limits, caller.key_id
        if key_id is None:
            return
        load = self._load_of(key_id)
        if jobs and (most := limits.max_queued_jobs):
            await load.queued.refresh(lambda: self._usage.queued_jobs(key_id, at_most=most))
            if load.queued.value + jobs > most:
                raise _too_many_jobs(most)
            load.queued.value += jobs
        if limits.max_stored_bytes:
            await load.stored.refresh(lambda: self._usage.stored_bytes(key_id))
            if load.stored.value >= limits.max_stored_bytes:
                raise _too_many_bytes(limits.max_stored_bytes)

    async def admit_bytes(self, caller: Caller, size_bytes: int) -> None:
        """Let so many bytes be kept, which have come already.

        Raises:
            ProblemError: 507, they are too many with what is kept for the key.
        """
        key_id, most = caller.key_id, caller.limits.max_stored_bytes
        if key_id is None or not most:
            return
        stored = self._load_of(key_id).stored
        await stored.refresh(lambda: self._usage.stored_bytes(key_id))
        if stored.value + size_bytes > most:
            raise _too_many_bytes(most)
        stored.value += size_bytes

    def _load_of(self, key_id: UUID) -> _Load:
        if key_id not in self._loads and len(self._loads) >= _MOST_KEYS:
            self._loads.pop(next(iter(self._loads)))
        return self._loads.setdefault(key_id, _Load())


def _too_many_jobs(most: int) -> ProblemError:
    return ProblemError(
        429,
        "key-queue-full",
        "Too many of this key's jobs wait",
        f"This key may have {most} jobs that wait to be done; try again in {_RETRY_SECONDS} seconds.",
        headers={"Retry-After": str(_RETRY_SECONDS)},
    )


def _too_many_bytes(most: int) -> ProblemError:
    return ProblemError(
        507,
        "key-storage-full",
        "This key's storage is full",
        f"This key may keep {most} bytes of inputs and results; delete jobs, or wait until old files are removed.",
    )
