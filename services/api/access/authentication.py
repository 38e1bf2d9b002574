"""From a request's secret to its key, by way of a memory that forgets within half a second."""

import asyncio
import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass

from services.api.access.caller import Caller, Limits
from shared.key_secrets import digest_of, is_secret
from shared.schema.keys import KeyLimits
from shared.settings import Settings
from shared.store.api_keys import ApiKeys

# A revoked key is refused within a second: this, and what its last look at the database takes.
_MEMORY_SECONDS = 0.5
# Wrong secrets are remembered too, and anybody can make up any number of them.
_MEMORY_SIZE = 10_000


@dataclass(frozen=True, slots=True)
class _Answer:
    asked_at: float
    caller: Caller | None


class Authenticator:
    """Knows keys by their secrets. However many requests a key makes, it costs two look-ups a second."""

    def __init__(self, keys: ApiKeys, settings: Settings) -> None:
        self._keys = keys
        self._defaults = KeyLimits(
            requests_per_second=settings.key_requests_per_second,
            burst=settings.key_burst,
            max_queued_jobs=settings.key_max_queued_jobs,
            max_stored_bytes=settings.key_max_stored_bytes,
        )
        self._answers: OrderedDict[str, _Answer] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Answer]] = {}
        self._none_until = float("-inf")
        self._is_closed = False
        self._looking = asyncio.Lock()

    async def caller_of(self, secret: str) -> Caller | None:
        """Whose secret it is; None when no valid key has it.

        Raises:
            DATABASE_ERRORS (shared.store.errors): it is not known now.
        """
        if not is_secret(secret):
            return None
        digest = digest_of(secret)
        answer = self._answers.get(digest)
        if answer is None or time.monotonic() > answer.asked_at + _MEMORY_SECONDS:
            answer = await self._asked(digest)
        return answer.caller

    async def has_keys(self) -> bool:
        """Whether there is a key, or ever was: from then on nobody gets in without one.

        Raises:
            DATABASE_ERRORS (shared.store.errors): it is not known now.
        """
        if self._is_closed or time.monotonic() < self._none_until:
            return self._is_closed
        async with self._looking:
            asked_at = time.monotonic()
            if asked_at >= self._none_until:
                self._is_closed = await self._keys.any()
                self._none_until = asked_at + _MEMORY_SECONDS
        return self._is_closed

    async def _asked(self, digest: str) -> _Answer:
        """Ask the database, once for all requests that want to know."""
        asking = self._asking.get(digest)
        if asking is None:
            asking = self._asking[digest] = asyncio.create_task(self._ask(digest), name="key look-up")
            asking.add_done_callback(lambda asked: self._has_asked(digest, asked))
        # Whoever leaves does not end it for the others.
        return await asyncio.shield(asking)

    def _has_asked(self, digest: str, asked: "asyncio.Task[_Answer]") -> None:
        self._asking.pop(digest, None)
        # Of an error nobody may be there any more to hear.
        if not asked.cancelled():
            asked.exception()

    async def _ask(self, digest: str) -> _Answer:
        asked_at = time.monotonic()
        found = await self._keys.find(digest)
        caller = None
        if found is not None and hmac.compare_digest(found.digest, digest):
            key = found.key
            caller = Caller(key.id, frozenset(key.scopes), Limits.of(key.limits, self._defaults))
        answer = _Answer(asked_at, caller)
        self._answers[digest] = answer
        self._answers.move_to_end(digest)
        if len(self._answers) > _MEMORY_SIZE:
            self._answers.popitem(last=False)
        return answer
