"""API keys: made, listed, given another secret, revoked. For administrators alone."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.api.access import Administrator
from services.api.bodies import JSON, media_type, read_json
from services.api.documentation import answers, reference
from services.api.problems import ProblemError, unsupported_media_type
from services.api.resources import InjectedResources
from shared.key_secrets import new_secret
from shared.schema.keys import KeyList, KeyRequest, KeyView, NewKey, Rotation

router = APIRouter(prefix="/api/keys", tags=["keys"])

# A secret is shown once, and no proxy or browser keeps it.
_NOT_STORED = {"Cache-Control": "no-store"}


@router.post(
    "",
    status_code=201,
    responses=answers(400, 408, 413, 415, 422, 500, 503),
    openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": reference(KeyRequest)}}}},
)
async def create_key(
    request: Request, response: Response, _administrator: Administrator, resources: InjectedResources
) -> NewKey:
    """Make an API key. Its secret is in this answer, and nowhere else."""
    if media_type(request) != JSON:
        raise unsupported_media_type(JSON)
    wanted = await read_json(request, KeyRequest, resources.settings)
    secret = new_secret()
    key = await resources.keys.create(
        secret, name=wanted.name, scopes=wanted.scopes, expires_at=wanted.expires_at, limits=wanted.limits
    )
    response.headers.update(_NOT_STORED)
    return NewKey(**key.model_dump(), secret=secret)


@router.get("", responses=answers(500, 503))
async def list_keys(_administrator: Administrator, resources: InjectedResources) -> KeyList:
    """List all API keys, the oldest first, also those that are revoked or have expired; no secrets."""
    return KeyList(keys=tuple(await resources.keys.all()))


@router.get("/{key_id}", responses=answers(404, 422, 500, 503))
async def get_key(key_id: UUID, _administrator: Administrator, resources: InjectedResources) -> KeyView:
    """Show an API key, without its secret."""
    return _found(key_id, await resources.keys.get(key_id))


@router.post(
    "/{key_id}/rotate",
    responses=answers(400, 404, 408, 409, 413, 415, 422, 500, 503),
    openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": reference(Rotation)}}}},
)
async def rotate_key(
    key_id: UUID, request: Request, response: Response, _administrator: Administrator, resources: InjectedResources
) -> NewKey:
    """Give an API key another secret. What it owns stays its own; the old secret serves for the overlap, if any."""
    if media_type(request) != JSON:
        raise unsupported_media_type(JSON)
    rotation = await read_json(request, Rotation, resources.settings)
    secret = new_secret()
    key = await resources.keys.rotate(key_id, secret, overlap_seconds=rotation.overlap_seconds)
    if key is None:
        _found(key_id, await resources.keys.get(key_id))
        raise ProblemError(409, "key-ended", "The key has ended", "The key is revoked or has expired; make a new one.")
    response.headers.update(_NOT_STORED)
    return NewKey(**key.model_dump(), secret=secret)


@router.delete("/{key_id}", responses=answers(404, 422, 500, 503))
async def revoke_key(key_id: UUID, _administrator: Administrator, resources: InjectedResources) -> KeyView:
    """Revoke an API key, for good: within a second it is refused everywhere. What it made stays, for administrators."""
    return _found(key_id, await resources.keys.revoke(key_id))


def _found(key_id: UUID, key: KeyView | None) -> KeyView:
    if key is None:
        raise ProblemError(404, "key-not-found", "No such key", f"There is no API key {key_id}.")
    return key
