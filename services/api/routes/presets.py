"""Presets: operations under a name. Some are built in; each key has its own beside them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, field_validator
from werkzeug.http import parse_etags, quote_etag

from services.api import problems
from services.api.access import Reader, Submitter
from services.api.bodies import JSON, media_type, read_json
from services.api.documentation import answers, reference
from services.api.problems import ProblemError
from services.api.resources import InjectedResources
from shared.schema.jobs import MAX_OPERATIONS
from shared.schema.names import Name
from shared.schema.operations import AnyOperation, with_names
from shared.schema.presets import PRESETS, Preset
from shared.store.presets import StoredPreset, TooManyPresets

router = APIRouter(prefix="/api/presets", tags=["presets"])

_Name = Annotated[
    Name,
    Path(
        description="1 to 64 of a-z, 0-9, '-' and '_'; it starts and ends with a letter or digit.",
        examples=["my-podcast"],
    ),
]


class PresetBody(BaseModel):
    """The JSON body of PUT /api/presets/{name}."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "description": "Our show, for the feed and the player on the site.",
                "operations": [
                    {"op": "normalize", "target_lufs": -16, "format": "mp3", "bitrate_kbps": 128},
                    {"op": "waveform", "formats": ["json"]},
                ],
            }
        },
    )

    description: str = Field(default="", max_length=500, pattern=r"^[^\x00]*$", description="For people.")
    operations: tuple[AnyOperation, ...] = Field(
        min_length=1, max_length=MAX_OPERATIONS, description="As in a job; a job's `overrides` go by their names."
    )

    @field_validator("operations")
    @classmethod
    def _have_names(cls, value: tuple[AnyOperation, ...]) -> tuple[AnyOperation, ...]:
        return with_names(value)


class PresetView(BaseModel):
    """A preset."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="What a job gives as its `preset`.")
    description: str
    operations: tuple[AnyOperation, ...] = Field(description="What a job with this preset does.")
    built_in: bool = Field(description="It comes with Wavemill, and cannot be changed.")
    version: int | None = Field(description="Counts what was put under this name; null for a built-in one.")
    created_at: datetime | None = Field(description="When it was first put; null for a built-in one.")
    updated_at: datetime | None = Field(description="When it was last put; null for a built-in one.")

    @classmethod
    def of_built_in(cls, preset: Preset) -> Self:
        """One that comes with Wavemill."""
        return cls(**_shown(preset), built_in=True, version=None, created_at=None, updated_at=None)

    @classmethod
    def of_stored(cls, stored: StoredPreset) -> Self:
        """One that a client put."""
        return cls(
            **_shown(stored.preset),
            built_in=False,
            version=stored.version,
            created_at=stored.created_at,
            updated_at=stored.updated_at,
        )


class PresetList(BaseModel):
    """All presets."""

    model_config = ConfigDict(frozen=True)

    presets: tuple[PresetView, ...] = Field(description="The built-in ones first, then the key's own by name.")


_TAG: dict[str, Any] = {"ETag": {"description": "Names this version of it.", "schema": {"type": "string"}}}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {JSON: {"schema": reference(PresetBody)}}}}


@router.get("", responses=answers(500, 503))
async def list_presets(caller: Reader, resources: InjectedResources) -> PresetList:
    """List the presets: the built-in ones, and those that were put with this key."""
    own = await resources.presets.all(caller.key_id)
    return PresetList(presets=(*map(PresetView.of_built_in, PRESETS.values()), *map(PresetView.of_stored, own)))


@router.get("/{name}", responses=answers(404, 422, 500, 503, s200={"headers": _TAG}))
async def get_preset(name: _Name, response: Response, caller: Reader, resources: InjectedResources) -> PresetView:
    """Show a preset."""
    if name in PRESETS:
        return PresetView.of_built_in(PRESETS[name])
    stored = await resources.presets.get(caller.key_id, name)
    if stored is None:
        raise _not_found(name)
    response.headers["ETag"] = _tag(stored)
    return PresetView.of_stored(stored)


@router.put(
    "/{name}",
    responses=answers(
        408,
        409,
        412,
        413,
        415,
        422,
        500,
        503,
        s200={"description": "The preset of this name was replaced.", "headers": _TAG},
        s201={"description": "There was no preset of this name; there is now.", "headers": _TAG, "model": PresetView},
    ),
    openapi_extra=_BODY,
)
async def put_preset(
    name: _Name, request: Request, response: Response, caller: Submitter, resources: InjectedResources
) -> PresetView:
    """Put a preset under a name. Jobs that were made with an earlier one keep what they got from it.

    `If-Match` with the ETag of a GET replaces that version alone; `If-None-Match: *` only takes a name that is free.
    """
    _refuse_built_in(name)
    if media_type(request) != JSON:
        raise problems.unsupported_media_type(JSON)
    body = await read_json(request, PresetBody, resources.settings)
    preset = Preset(name=name, description=body.description, operations=body.operations)
    condition = _Condition.of(request)
    stored, limit = None, resources.settings.max_presets
    if condition.may_replace:
        stored = await resources.presets.replace(caller.key_id, preset, version=condition.version)
    if stored is None and condition.may_create:
        try:
            stored = await resources.presets.create(caller.key_id, preset, at_most=limit)
        except TooManyPresets:
            raise _too_many(limit) from None
        response.status_code = 201
    if stored is None:
        raise _changed()
    response.headers["ETag"] = _tag(stored)
    return PresetView.of_stored(stored)


@router.delete("/{name}", status_code=204, responses=answers(404, 409, 412, 422, 500, 503))
async def delete_preset(name: _Name, request: Request, caller: Submitter, resources: InjectedResources) -> None:
    """Remove a preset. Jobs that were made with it keep what they got from it."""
    _refuse_built_in(name)
    condition = _Condition.of(request)
    if not await resources.presets.remove(caller.key_id, name, version=condition.version):
        raise _not_found(name) if condition.may_create else _changed()


def _shown(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "description": preset.description,
        "operations": with_names(preset.operations),
    }


def _tag(stored: StoredPreset) -> str:
    return quote_etag(str(stored.version))


@dataclass(frozen=True, slots=True)
class _Condition:
    """What If-Match and If-None-Match ask of the preset that is there (RFC 9110, section 13)."""

    may_create: bool
    may_replace: bool
    version: int | None = None  # that is to be replaced; None: whichever it is

    @classmethod
    def of(cls, request: Request) -> Self:
        if "if-none-match" in request.headers:
            return cls(may_create=True, may_replace=False)
        if "if-match" not in request.headers:
            return cls(may_create=True, may_replace=True)
        named = parse_etags(request.headers["if-match"])
        if named.star_tag:
            return cls(may_create=False, may_replace=True)
        tag = next(iter(named.as_set()), "")
        # No preset has the version 0.
        is_ours = len(named.as_set()) == 1 and tag.isascii() and tag.isdecimal() and len(tag) < 10
        return cls(may_create=False, may_replace=True, version=int(tag) if is_ours else 0)


def _refuse_built_in(name: str) -> None:
    if name in PRESETS:
        raise ProblemError(
            409,
            "preset-built-in",
            "Built-in preset",
            f"The preset {name!r} comes with Wavemill and stays as it is; put yours under another name.",
        )


def _not_found(name: str) -> ProblemError:
    detail = f"There is no preset {name!r}; GET /api/presets lists those that there are."
    return ProblemError(404, "preset-not-found", "No such preset", detail)


def _changed() -> ProblemError:
    return ProblemError(
        412,
        "changed",
        "Changed",
        "The preset is not the one that If-Match or If-None-Match asks for; GET it, and put your change upon that.",
    )


def _too_many(limit: int) -> ProblemError:
    detail = f"There are {limit} presets already, as many as a key may have; remove one that is not used."
    return ProblemError(409, "too-many-presets", "Too many presets", detail)
