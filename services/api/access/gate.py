"""The dependencies by which routes learn who calls, and which let nobody else in."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from services.api.access.caller import KEYLESS, Caller
from shared.schema.keys import Scope


async def _caller(_request: Request) -> Caller:
    return KEYLESS


def _with(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    async def allowed(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
        caller.require(scope)
        return caller

    return allowed


Reader = Annotated[Caller, Depends(_with(Scope.READ))]
Submitter = Annotated[Caller, Depends(_with(Scope.SUBMIT))]
Administrator = Annotated[Caller, Depends(_with(Scope.ADMIN))]
