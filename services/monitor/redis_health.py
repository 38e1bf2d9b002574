"""How Redis is, by its own account (INFO)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis


@dataclass(frozen=True, slots=True)
class RedisHealth:
    """What can become too much, and what can fail."""

    memory_used_bytes: int
    memory_limit_bytes: int  # 0 is none
    evicted_keys: int
    clients: int
    clients_limit: int
    persistence_ok: Mapping[str, bool]  # by its kind, of the kinds that are there


async def redis_health(redis: Redis) -> RedisHealth:
    """Ask Redis.

    Raises:
        redis.exceptions.RedisError: it cannot be reached.
    """
    info: Mapping[str, Any] = await redis.info()
    # What a hosted Redis does not tell is its host's to look after.
    persistence = {"rdb": info.get("rdb_last_bgsave_status", "ok") == "ok"}
    if info.get("aof_enabled"):
        persistence["aof"] = info["aof_last_write_status"] == "ok" and info["aof_last_bgrewrite_status"] == "ok"
    return RedisHealth(
        memory_used_bytes=info["used_memory"],
        memory_limit_bytes=info["maxmemory"],
        evicted_keys=info["evicted_keys"],
        clients=info["connected_clients"],
        clients_limit=info.get("maxclients", 0),
        persistence_ok=persistence,
    )
