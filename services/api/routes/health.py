"""Whether the service lives, and whether it can take work."""

import asyncio
from collections.abc import Awaitable
from enum import StrEnum

import structlog
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.api.documentation import answers
from services.api.problems import ProblemError
from services.api.resources import InjectedResources
from shared.blobs import BlobMissing, Blobs

log = structlog.get_logger()

router = APIRouter(tags=["health"])

_CHECK_SECONDS = 2.0
_PROBE = "readiness-probe"


class Liveness(BaseModel):
    """The process answers."""

    model_config = ConfigDict(frozen=True)

    status: str = "alive"


class StoreState(StrEnum):
    """Whether a store answers."""

    OK = "ok"
    UNAVAILABLE = "unavailable"


class ReadinessStatus(StrEnum):
    """Degraded: jobs are accepted and shown, but Redis does not carry messages and events at the moment."""

    READY = "ready"
    DEGRADED = "degraded"


class Checks(BaseModel):
    """Each store's state."""

    model_config = ConfigDict(frozen=True)

    database: StoreState
    redis: StoreState
    blobs: StoreState


class Readiness(BaseModel):
    """Whether requests can be served."""

    model_config = ConfigDict(frozen=True)

    status: ReadinessStatus = Field(
        description="`degraded` while Redis is away: jobs are taken, and start when it is back."
    )
    checks: Checks


@router.get("/healthz", responses=answers(500))
async def get_liveness() -> Liveness:
    """Say that the process lives. No store is asked."""
    return Liveness()


@router.get("/readyz", responses=answers(500, 503))
async def get_readiness(resources: InjectedResources) -> Readiness:
    """Say whether requests can be served.

    Without the database or the blob store they cannot (503, `checks` says which). Without Redis they can: a job is
    durable in the database, and its message is published when Redis is back.
    """
    database, redis, blobs = await asyncio.gather(
        _state("database", resources.database.ping()),
        _state("redis", resources.redis.ping()),
        _state("blobs", _probe(resources.blobs)),
    )
    checks = Checks(database=database, redis=redis, blobs=blobs)
    if StoreState.UNAVAILABLE in (database, blobs):
        raise ProblemError(
            503,
            "not-ready",
            "Not ready",
            "A store that every request needs cannot be reached; `checks` says which.",
            checks=checks.model_dump(),
        )
    return Readiness(
        status=ReadinessStatus.READY if redis is StoreState.OK else ReadinessStatus.DEGRADED, checks=checks
    )


async def _state(store: str, answer: Awaitable[object]) -> StoreState:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await answer
    except Exception as error:
        # Whatever its client raises: the store is of no use now.
        log.warning("store not reachable", store=store, reason=type(error).__name__)
        return StoreState.UNAVAILABLE
    return StoreState.OK


async def _probe(blobs: Blobs) -> None:
    try:
        await blobs.size(_PROBE)
    except BlobMissing:
        # The store answered.
        return
