"""Tells each answer's reader how much of the key's limit is left, whatever the answer is."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.access.gate import RATE_LIMIT_STATE


class RateLimitHeaders:
    """A middleware: answers are made in many places, and refusals in others still."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get("state", {}).get(RATE_LIMIT_STATE, {}))
            await send(message)

        await self._app(scope, receive, told_send)
