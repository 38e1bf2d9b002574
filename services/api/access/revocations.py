"""Ends what a key has opened and still reads, such as event streams, when it is revoked or expires."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self
from uuid import UUID

import anyio
import structlog

from shared.cancellation import cancel
from shared.store.api_keys import ApiKeys
from shared.store.errors import DATABASE_ERRORS

log = structlog.get_logger()

_LOOK_EVERY_SECONDS = 0.5


class Revocations:
    """Looks at the keys that have something open, all of them at once, while its context lasts."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._open: dict[UUID, set[anyio.Event]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._looking = asyncio.create_task(self._keep_looking(), name="revocations")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._looking is not None:
            await cancel(self._looking)

    @contextmanager
    def ending(self, key_id: UUID | None, end: anyio.Event) -> Iterator[None]:
        """Have an event set as soon as the key is no longer valid; never without a key."""
        if key_id is None:
            yield
            return
        ends = self._open.setdefault(key_id, set())
        ends.add(end)
        try:
            yield
        finally:
            ends.discard(end)
            if not ends:
                self._open.pop(key_id, None)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            if not self._open:
                continue
            key_ids = list(self._open)
            try:
                valid = await self._keys.valid_among(key_ids)
            except DATABASE_ERRORS as error:
                log.warning("keys not looked at, will be", reason=type(error).__name__)
                continue
            for key_id in set(key_ids) - valid:
                for end in self._open.get(key_id, ()):
                    end.set()
