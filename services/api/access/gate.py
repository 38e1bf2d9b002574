"""Where requests come in: who calls is found out here, and nobody else gets further."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Self

import structlog
from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from services.api.access.authentication import Authenticator
from services.api.access.caller import KEYLESS, Caller
from services.api.access.rate_limit import RateLimiter, too_many_requests
from services.api.problems import ProblemError
from shared.cancellation import cancel
from shared.schema.keys import Scope
from shared.settings import Settings
from shared.store.errors import DATABASE_ERRORS

log = structlog.get_logger()

RATE_LIMIT_STATE = "rate_limit_headers"
# Says that a proxy passes on what another machine asks.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
# For the OpenAPI document; what is sent is read below, where every mistake gets the same answer.
_SCHEME = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="An API key, as `make key` or `POST /api/keys` shows it once. "
    "Needed from other machines, and from this one as soon as there is a key.",
)


class Gate:
    """Lets callers in; says at the start of the service whom."""

    def __init__(self, authenticator: Authenticator, limiter: RateLimiter, settings: Settings) -> None:
        self._authenticator = authenticator
        self._limiter = limiter
        self._always_requires_keys = settings.require_keys
        self._trusted_origins = settings.cors_allowed_origins
        self._announcing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        # The start of the service does not wait for the database.
        self._announcing = asyncio.create_task(self._announce(), name="gate")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._announcing is not None:
            await cancel(self._announcing)

    async def caller_of(self, request: Request) -> Caller:
        """Who makes a request, within its limit of requests.

        Raises:
            ProblemError: 401, no valid key; 403, another machine while there are no keys; 429, too many requests.
            DATABASE_ERRORS (shared.store.errors): it is not known now.
        """
        given = request.headers.getlist("authorization")
        if not given and not await self._requires_key():
            if not _is_from_here(request, self._trusted_origins):
                raise _only_from_here()
            return KEYLESS
        # Two of them would leave it to a proxy's taste which one counts.
        scheme, secret = get_authorization_scheme_param(given[0] if len(given) == 1 else None)
        caller = await self._authenticator.caller_of(secret) if scheme.lower() == "bearer" else None
        if caller is None or caller.key_id is None:
            raise _unauthorized()
        structlog.contextvars.bind_contextvars(key_id=str(caller.key_id))
        if caller.limits.requests_per_second:
            spent = await self._limiter.spend(caller.key_id, caller.limits)
            # Told with every answer, also of those that a route refuses (services/api/access/headers.py).
            setattr(request.state, RATE_LIMIT_STATE, spent.headers)
            if not spent.allowed:
                raise too_many_requests(spent)
        return caller

    async def _requires_key(self) -> bool:
        return self._always_requires_keys or await self._authenticator.has_keys()

    async def _announce(self) -> None:
        try:
            has_keys = await self._authenticator.has_keys()
        except DATABASE_ERRORS as error:
            log.warning("it is not known yet whether there are API keys", reason=type(error).__name__)
            return
        if has_keys:
            log.info("requests need an API key")
        elif self._always_requires_keys:
            log.warning("requests need an API key, and there is none: make one with `make key NAME=...`")
        else:
            log.warning(
                "there is no API key: only this machine is served, and without one; make one with `make key NAME=...`"
            )


def _is_from_here(request: Request, trusted_origins: Collection[str]) -> bool:
    """Whether a program or a person on this machine asks, and no proxy and no strange web page does so for others."""
    if request.client is None or not _is_loopback(request.client.host):
        return False
    if any(name in request.headers for name in _FORWARDED):
        return False
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    # A page of another site may send forms to this machine; its browser says so.
    is_of_other_site = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    is_of_other_origin = origin is not None and origin.partition("://")[2] != host
    if (is_of_other_site or is_of_other_origin) and origin not in trusted_origins:
        return False
    # A name of its own that leads here (DNS rebinding) would make such a page one of ours.
    name = host.removesuffix(f":{port}") if (port := host.rpartition(":")[2]).isdecimal() else host
    return name == "localhost" or _is_loopback(name.strip("[]"))


def _is_loopback(address: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False


def _unauthorized() -> ProblemError:
    # The same words whatever is wrong with it.
    return ProblemError(
        401,
        "unauthorized",
        "No valid API key",
        "Send a valid API key as `Authorization: Bearer wm_...`; ask the operator for one.",
        headers={"WWW-Authenticate": 'Bearer realm="wavemill"'},
    )


def _only_from_here() -> ProblemError:
    return ProblemError(
        403,
        "only-local",
        "Only for this machine",
        "This server has no API keys yet, and so serves only programs on its own machine, by the name localhost; "
        "its operator makes a key with `make key NAME=...`.",
    )


async def _caller(request: Request) -> Caller:
    gate: Gate = request.app.state.gate
    return await gate.caller_of(request)


def _with(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def allowed(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        caller.require(scope)
        return caller

    return allowed


GUARDS = (Security(_SCHEME), Depends(_caller))
Reader = Annotated[Caller, Depends(_with(Scope.READ))]
Submitter = Annotated[Caller, Depends(_with(Scope.SUBMIT))]
Administrator = Annotated[Caller, Depends(_with(Scope.ADMIN))]
