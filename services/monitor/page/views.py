"""What is only looked at: the board, lists of jobs, one job, the audit."""

import re
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from services.monitor.page.board import COUNT_TO
from services.monitor.page.desk import Desk, TheDesk, TheVisitor
from services.monitor.page.rendering import message, render
from services.monitor.page.timeline import timeline
from shared.schema.jobs import JobStatus
from shared.store.audit import AuditEntry

router = APIRouter()

_PAGE = 50
_FOUND_AT_MOST = 50
_DIGITS = re.compile(r"[0-9a-f]{1,32}")
Notice = Annotated[UUID | None, Query(description="An entry of the audit to tell of.")]


class Selection(BaseModel):
    """Which jobs to list, from the address."""

    status: JobStatus | None = None
    code: Annotated[str | None, Field(max_length=100, pattern=r"^[^\x00-\x1f]+$")] = None
    before: UUID | None = None
    notice: UUID | None = None


@router.get("/")
async def board(desk: TheDesk, visitor: TheVisitor, notice: Notice = None) -> Response:
    """Queues, workers, what came last, what failed, and the last hour."""
    return render(
        "board.html",
        board=await desk.boards.now(),
        count_to=COUNT_TO,
        visitor=visitor,
        notice=await _notice(desk, notice),
    )


@router.get("/jobs")
async def jobs(desk: TheDesk, visitor: TheVisitor, selection: Annotated[Selection, Query()]) -> Response:
    """Jobs, the newest first."""
    # One more than is shown says whether there is a next page.
    found = await desk.lines.page(
        status=selection.status, error_code=selection.code, before=selection.before, limit=_PAGE + 1
    )
    return render(
        "jobs.html",
        jobs=found[:_PAGE],
        next_before=found[_PAGE - 1].job_id if len(found) > _PAGE else None,
        status=selection.status,
        code=selection.code,
        is_first_page=selection.before is None,
        visitor=visitor,
        notice=await _notice(desk, selection.notice),
    )


@router.get("/search")
async def search(desk: TheDesk, visitor: TheVisitor, job: Annotated[str, Query(max_length=100)] = "") -> Response:
    """Jobs by their id, or its beginning."""
    digits = job.strip().lower().replace("-", "")
    found = await desk.lines.beginning_with(digits, limit=_FOUND_AT_MOST) if _DIGITS.fullmatch(digits) else ()
    if len(found) == 1:
        return RedirectResponse(f"/jobs/{found[0].job_id}", 303)
    return render("search.html", asked=job.strip(), jobs=found, at_most=_FOUND_AT_MOST, visitor=visitor)


@router.get("/jobs/{job_id}")
async def job(job_id: UUID, desk: TheDesk, visitor: TheVisitor, notice: Notice = None) -> Response:
    """One job: attempts, artifacts, what happened when."""
    line, view = await desk.lines.job(job_id), await desk.jobs.get(job_id)
    if line is None or view is None:
        return message("No such job", f"There is no job {job_id}. It may have been removed as too old.", status=404)
    return render(
        "job.html",
        job=view,
        line=line,
        timeline=timeline(view),
        visitor=visitor,
        notice=await _notice(desk, notice),
    )


@router.get("/audit")
async def audit(desk: TheDesk, visitor: TheVisitor, before: UUID | None = None) -> Response:
    """What operators did, the latest first."""
    found = await desk.audit.page(before=before, limit=_PAGE + 1)
    return render(
        "audit.html",
        entries=found[:_PAGE],
        next_before=found[_PAGE - 1].entry_id if len(found) > _PAGE else None,
        visitor=visitor,
    )


async def _notice(desk: Desk, entry_id: UUID | None) -> AuditEntry | None:
    return None if entry_id is None else await desk.audit.get(entry_id)
