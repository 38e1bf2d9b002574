"""What changes something: login and logout, and the actions, each behind a page that asks whether it is meant."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from services.monitor.page.access import Refused, TooManyLogins, Visitor
from services.monitor.page.actions import WORDINGS, Act, BadTarget, check_target
from services.monitor.page.desk import TheAccess, TheDesk, TheVisitor
from services.monitor.page.rendering import render
from services.monitor.page.sessions import Session, Sessions

router = APIRouter()

# A browser is sent on to the answer by GET.
_SEE_OTHER = 303


@router.get("/login")
async def login_form(request: Request, access: TheAccess, to: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """Ask for the key."""
    return _login_form(request, access.sessions(), to, problem=None, status=200)


@router.post("/login")
async def login(request: Request, access: TheAccess) -> Response:
    """Begin a session, for who has the key."""
    fields = await access.form(request)
    sessions, to = access.sessions(), fields.get("to", "/")
    try:
        session = access.log_in(request, fields)
    except TooManyLogins as error:
        wait = f"{error.wait_seconds:.0f}"
        answer = _login_form(
            request, sessions, to, problem=f"Too many wrong keys. Try again in {wait} seconds.", status=429
        )
        answer.headers["Retry-After"] = wait
        return answer
    if session is None:
        return _login_form(request, sessions, to, problem="This is not the admin key.", status=401)
    answer = RedirectResponse(_local(to), _SEE_OTHER)
    sessions.write(request, answer, session)
    return answer


@router.post("/logout")
async def logout(request: Request, access: TheAccess) -> Response:
    """End the session of this browser."""
    await access.form(request)
    answer = RedirectResponse("/login", _SEE_OTHER)
    Sessions.end(answer)
    return answer


@router.get("/confirm")
async def confirm(visitor: TheVisitor, act: Act, target: Annotated[str, Query(max_length=255)]) -> Response:
    """Ask whether an action is meant."""
    _require_acting(visitor)
    check_target(act, target)
    return render(
        "confirm.html", act=act, wording=WORDINGS[act], target=target, back=_place(act, target), visitor=visitor
    )


@router.post("/actions")
async def perform(request: Request, access: TheAccess, visitor: TheVisitor, desk: TheDesk) -> Response:
    """Do it, and show what came of it."""
    _require_acting(visitor)
    fields = await access.form(request)
    try:
        act = Act(fields.get("act", ""))
    except ValueError:
        raise BadTarget("There is no such action.") from None
    target = fields.get("target", "")
    entry_id = await desk.actions.perform(act, target, who=visitor.who)
    desk.boards.forget()
    return RedirectResponse(_place(act, target, notice=str(entry_id)), _SEE_OTHER)


def _require_acting(visitor: Visitor) -> None:
    if visitor.why_not_act is not None:
        raise Refused(visitor.why_not_act)


def _login_form(request: Request, sessions: Sessions, to: str, *, problem: str | None, status: int) -> Response:
    """With a session that has no name yet, whose token the form sends back."""
    session = sessions.of(request) or Session.begin()
    answer = render("login.html", http_status=status, csrf=session.csrf, to=_local(to), problem=problem, visitor=None)
    sessions.write(request, answer, session)
    return answer


def _place(act: Act, target: str, **query: str) -> str:
    """Where what an action was about is shown."""
    path = "/"
    if WORDINGS[act].target == "job":
        path = f"/jobs/{target}"
    elif act is Act.REQUEUE:
        path, query = "/jobs", {"status": "failed", "code": target, **query}
    return f"{path}?{urlencode(query)}" if query else path


def _local(to: str) -> str:
    """An address of this page; nobody is sent elsewhere from here."""
    is_local = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable()
    return to if is_local else "/"
