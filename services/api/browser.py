"""What the API tells browsers: what they must not do with its answers, and which pages' scripts may use it."""

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.settings import Settings

# Of answers that a script from elsewhere may read, what it may read beside the body.
_EXPOSED = (
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Tus-Resumable",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Offset",
)
_PREFLIGHT_SECONDS = 3600
# Swagger's page brings its script and style from elsewhere.
_PAGES = ("/docs",)


def install(app: FastAPI, settings: Settings) -> None:
    """Put what the settings say around all answers of the app."""
    if settings.cors_allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allowed_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            # A key comes in a header, never in a cookie: a page has to know it.
            allow_headers=["*"],
            allow_credentials=False,
            expose_headers=_EXPOSED,
            max_age=_PREFLIGHT_SECONDS,
        )
    app.add_middleware(_SecurityHeaders, settings=settings)


class _SecurityHeaders:
    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        framing = f"frame-ancestors {settings.frame_ancestors}"
        resource = "cross-origin" if settings.cors_allowed_origins else "same-origin"
        self._of_pages = {
            "Content-Security-Policy": framing,
            "Cross-Origin-Resource-Policy": resource,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        if settings.frame_ancestors == "'none'":
            self._of_pages["X-Frame-Options"] = "DENY"
        if settings.hsts_seconds:
            self._of_pages["Strict-Transport-Security"] = f"max-age={settings.hsts_seconds}"
        # Whatever an answer holds, a browser that shows it runs nothing of it and fetches nothing for it.
        data_only = f"default-src 'none'; sandbox; {framing}"
        self._of_data = self._of_pages | {"Content-Security-Policy": data_only}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        added = self._of_pages if scope["path"] in _PAGES else self._of_data

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
