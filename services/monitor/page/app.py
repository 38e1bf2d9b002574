"""The operations page as an application of its own, which the monitor mounts at `/`."""

from urllib.parse import urlencode

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from services.monitor.page import doings, views
from services.monitor.page.access import Access, LoginNeeded, PageOff, Refused
from services.monitor.page.actions import BadTarget
from services.monitor.page.desk import Desk
from services.monitor.page.rendering import STATIC_FOLDER, message
from services.monitor.page.security_headers import STATIC, SecurityHeaders
from services.monitor.reasons import in_a_line
from shared.settings import Settings
from shared.store.errors import DATABASE_ERRORS, is_unavailable

log = structlog.get_logger()

_RETRY_AFTER_SECONDS = 5


def make_page(settings: Settings) -> FastAPI:
    """The page; `furnish` it before it is asked for anything."""
    page = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    page.state.access = Access(settings)
    page.add_middleware(SecurityHeaders)
    page.include_router(views.router)
    page.include_router(doings.router)
    page.mount(STATIC, StaticFiles(directory=STATIC_FOLDER))
    page.exception_handler(LoginNeeded)(_on_login_needed)
    page.exception_handler(PageOff)(_on_page_off)
    page.exception_handler(Refused)(_on_refused)
    page.exception_handler(BadTarget)(_on_bad_target)
    page.exception_handler(RequestValidationError)(_on_bad_address)
    page.exception_handler(HTTPException)(_on_http_exception)
    for kind in DATABASE_ERRORS:
        page.exception_handler(kind)(_on_database_error)
    return page


def furnish(page: FastAPI, desk: Desk) -> None:
    """Give the page what it works with."""
    page.state.desk = desk


async def _on_login_needed(request: Request, _error: Exception) -> Response:
    if request.method != "GET":
        return message("Not logged in", "You are not logged in, or no longer. Log in, and repeat it.", status=403)
    to = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?{urlencode({'to': to})}", 303)


async def _on_page_off(_request: Request, _error: Exception) -> Response:
    text = "There is no admin key, and so this page is shown on its own machine only. Set WAVEMILL_ADMIN_KEY to log in."
    return message("The page is off", text, status=403)


async def _on_refused(_request: Request, error: Exception) -> Response:
    return message("Not done", str(error), status=403)


async def _on_bad_target(_request: Request, error: Exception) -> Response:
    return message("Not done", str(error), status=422)


async def _on_bad_address(_request: Request, _error: Exception) -> Response:
    return message("Nothing here", "This address has a part that cannot be read. Begin at the front page.", status=422)


async def _on_http_exception(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return message("Nothing here", "There is nothing at this address. Begin at the front page.", status=status)


async def _on_database_error(_request: Request, error: Exception) -> Response:
    if not is_unavailable(error):
        log.error("unexpected error", exc_info=error)
        return message("Something went wrong", "Wavemill itself made a mistake; the monitor's log has it.", status=500)
    log.warning("page: the database is away", reason=in_a_line(error))
    answer = message(
        "The database cannot be reached",
        "Nothing can be shown or done until it is back. This page tries again by itself.",
        status=503,
        again_after=_RETRY_AFTER_SECONDS,
    )
    answer.headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return answer
