"""The list of jobs: filters, and pages that do not move while jobs are made."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.api import problems
from services.api.access import Reader
from services.api.cursors import Cursor, cursor, position
from services.api.documentation import answers
from services.api.problems import FieldError
from services.api.resources import InjectedResources
from shared.schema.jobs import JobPage, JobStatus
from shared.schema.names import Name
from shared.schema.options import METADATA_KEY, Moment
from shared.store.job_lists import Wanted

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

# PostgreSQL takes no NUL in a text.
_Pair = Annotated[str, StringConstraints(pattern=METADATA_KEY.removesuffix("$") + r"=[^\x00]{0,500}$")]


class _Asked(BaseModel):
    """The query of GET /api/jobs."""

    model_config = ConfigDict(frozen=True)

    status: tuple[JobStatus, ...] = Field(
        default=(), max_length=6, description="Only jobs of this status, or of one of these."
    )
    preset: Name | None = Field(default=None, description="Only jobs that were made from this preset.")
    metadata: tuple[_Pair, ...] = Field(
        default=(),
        max_length=10,
        description="Only jobs with this pair in their metadata, as `key=value`; of several pairs, with all.",
        examples=[["customer=42"]],
    )
    created_after: Moment | None = Field(
        default=None, description="Only jobs that were made at this time or later (RFC 3339, with an offset)."
    )
    created_before: Moment | None = Field(default=None, description="Only jobs that were made before this time.")
    cursor: Cursor = None
    limit: int = Field(default=50, ge=1, le=200, description="Jobs a page.")


@router.get("", responses=answers(422, 500, 503))
async def list_jobs(caller: Reader, resources: InjectedResources, asked: Annotated[_Asked, Query()]) -> JobPage:
    """List jobs, the newest first: those for which every filter holds.

    Jobs that are made meanwhile do not move the pages. Give the same filters with each `cursor`.
    """
    wanted = Wanted(
        owner=caller.owner,
        statuses=frozenset(asked.status),
        preset=asked.preset,
        metadata=_pairs(asked.metadata),
        created_after=asked.created_after,
        created_before=asked.created_before,
    )
    # One more than is shown says whether there is a next page.
    found = await resources.lists.page(wanted, before=position(asked.cursor), limit=asked.limit + 1)
    shown = found[: asked.limit]
    return JobPage(jobs=tuple(shown), next_cursor=cursor(shown[-1].id) if len(found) > len(shown) else None)


def _pairs(given: Sequence[str]) -> Mapping[str, str]:
    """From `key=value`.

    Raises:
        ProblemError: 422, a key is given with two values, which no job has.
    """
    pairs: dict[str, str] = {}
    for number, pair in enumerate(given):
        key, _, value = pair.partition("=")
        if pairs.setdefault(key, value) != value:
            detail = f"No job has two values of {key!r}; give it once."
            raise problems.invalid([FieldError.at("query", ["metadata", number], detail)])
    return pairs
