"""The monitor's connections to the stores."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from redis.asyncio import Redis

from shared import events
from shared.blobs import Blobs
from shared.broker import Publisher, make_app
from shared.settings import Settings
from shared.store.database import Database

# A store that does not answer must not hold up the end of the process.
_CLOSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Connections:
    """Database, blob store, Redis, and Redis as the workers' broker."""

    database: Database
    blobs: Blobs
    redis: Redis
    publisher: Publisher


@asynccontextmanager
async def connections(settings: Settings) -> AsyncIterator[Connections]:
    """Connections of this event loop; each is opened when it is first needed, and again when it was lost."""
    opened = Connections(
        database=Database.from_settings(settings),
        blobs=Blobs.from_settings(settings),
        redis=events.connect(settings),
        publisher=Publisher(make_app(settings)),
    )
    try:
        yield opened
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await opened.redis.aclose()
                await opened.database.close()
