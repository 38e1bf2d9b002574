"""How fast a key may ask: one token bucket for each, in Redis, where all API processes see it.

While Redis does not answer at once, each process goes on from what it last saw in a bucket of its own: a key may then
use up what is left of its limit once in each process, and no more. No request fails for it. (The library `limits` has
windows alone, no bucket.)
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.api.access.caller import Limits
from services.api.problems import ProblemError

log = structlog.get_logger()

POLICY = "key"
# RuntimeError is what uvloop says of a write to a connection that was reset.
_REDIS_AWAY = (RedisError, OSError, RuntimeError, TimeoutError)
# A request waits no longer for its token, and Redis is let alone for a while after.
_PATIENCE_SECONDS = 0.1
_REST_SECONDS = 1.0
# Beyond so many the first is forgotten, and so full again.
_MOST_LOCAL_BUCKETS = 10_000

# By Redis's own clock. A bucket that nobody uses is full again when it expires.
_SPEND = """
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if kept[1] and kept[2] then
    tokens = math.min(burst, tonumber(kept[1]) + math.max(0, now - tonumber(kept[2])) * rate)
end
local allowed = 0
if tokens >= 1 then
    allowed, tokens = 1, tokens - 1
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((burst - tokens) / rate * 1000) + 1000)
return {allowed, string.format('%.6f', tokens)}
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What came of the wish for a token."""

    allowed: bool
    tokens: float
    """What is left."""
    limits: Limits

    @property
    def headers(self) -> Mapping[str, str]:
        """RateLimit and RateLimit-Policy, as draft-ietf-httpapi-ratelimit-headers has them since its version 8.

        A bucket is told as a quota of its burst in the time that it takes to fill it; `t` is the time until it is full.
        """
        rate, burst = self.limits.requests_per_second, self.limits.burst
        return {
            "RateLimit-Policy": f'"{POLICY}";q={burst};w={max(1, math.ceil(burst / rate))}',
            "RateLimit": f'"{POLICY}";r={int(self.tokens)};t={math.ceil((burst - self.tokens) / rate)}',
        }

    @property
    def retry_after_seconds(self) -> int:
        """When there is a token again."""
        return max(1, math.ceil((1 - self.tokens) / self.limits.requests_per_second))


class RateLimiter:
    """The buckets of all keys."""

    def __init__(self, redis: Redis, on_fallback: Callable[[], None]) -> None:
        """`on_fallback` is called for each request that is counted without Redis."""
        self._script = redis.register_script(_SPEND)
        self._local = LocalBuckets()
        self._on_fallback = on_fallback
        self._redis_rests_until = float("-inf")

    async def spend(self, key_id: UUID, limits: Limits) -> Spent:
        """Take a token of a key that has a limit."""
        if time.monotonic() >= self._redis_rests_until:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    allowed, tokens = await self._script(
                        keys=[f"wavemill:bucket:{key_id}"], args=[limits.requests_per_second, limits.burst]
                    )
            except _REDIS_AWAY as error:
                log.warning("requests are counted by each API process alone", reason=type(error).__name__)
                self._redis_rests_until = time.monotonic() + _REST_SECONDS
            else:
                self._local.note(key_id, float(tokens))
                return Spent(bool(allowed), float(tokens), limits)
        self._on_fallback()
        return self._local.spend(key_id, limits)


class LocalBuckets:
    """The same buckets in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[UUID, tuple[float, float]] = {}

    def spend(self, key_id: UUID, limits: Limits) -> Spent:
        """Take a token."""
        now = self._clock()
        tokens, at = self._buckets.get(key_id, (float(limits.burst), now))
        tokens = min(limits.burst, tokens + (now - at) * limits.requests_per_second)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        self.note(key_id, tokens)
        return Spent(allowed, tokens, limits)

    def note(self, key_id: UUID, tokens: float) -> None:
        """So many tokens are in it now."""
        if key_id not in self._buckets and len(self._buckets) >= _MOST_LOCAL_BUCKETS:
            self._buckets.pop(next(iter(self._buckets)))
        self._buckets[key_id] = tokens, self._clock()


def too_many_requests(spent: Spent) -> ProblemError:
    """429: the key's bucket is empty."""
    seconds = spent.retry_after_seconds
    return ProblemError(
        429,
        "too-many-requests",
        "Too many requests",
        f"This key may make {spent.limits.requests_per_second:g} requests a second, and {spent.limits.burst} at once; "
        f"try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )
