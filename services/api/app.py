"""The API service: `uvicorn services.api.app:app`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from services.api import browser, documentation, problems, resources
from services.api.access.gate import GUARDS
from services.api.access.headers import RateLimitHeaders
from services.api.metrics import ApiMetrics, MetricsMiddleware
from services.api.routes import (
    archives,
    artifacts,
    batches,
    events,
    health,
    job_list,
    jobs,
    keys,
    operations,
    presets,
    presigned,
    tus,
    uploads,
    validation,
    webhooks,
)
from shared.settings import Settings, settings
from shared.telemetry.logs import configure_logs
from shared.telemetry.metrics import MetricsServer
from shared.telemetry.tracing import configure_tracing

VERSION = "0.1.0"
_DESCRIPTION = """\
Send audio, say what you want of it, watch the job, fetch the results.

Every error is a problem of RFC 9457 (`application/problem+json`).
"""


def create_app(configured: Settings) -> FastAPI:
    """The application, which opens its stores when it starts."""
    metrics = ApiMetrics()
    # On a port of their own, so that no proxy in front of the API hands them out.
    server = MetricsServer(metrics.registry, host=configured.metrics_host, port=configured.api_metrics_port)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        provider = configure_tracing("api", configured)
        server.start()
        try:
            async with resources.opened(configured, metrics) as opened:
                resources.attach(app, opened)
                yield
        finally:
            await asyncio.to_thread(server.stop)
            if provider is not None:
                provider.shutdown()

    configure_logs("api", configured)
    app = FastAPI(
        title="Wavemill",
        version=VERSION,
        summary="A self-hosted platform for audio jobs.",
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=documentation.operation_id,
    )
    browser.install(app, configured)
    app.add_middleware(RateLimitHeaders)
    app.add_middleware(MetricsMiddleware, metrics=metrics)
    problems.install(app, metrics)
    documentation.install(app)
    for module in (
        jobs,
        job_list,
        validation,
        batches,
        events,
        artifacts,
        archives,
        presigned,
        tus,
        uploads,
        presets,
        webhooks,
        keys,
    ):
        app.include_router(module.router, dependencies=GUARDS, responses=documentation.answers(401, 403, 429))
    # What these tell is nobody's: whether the service is well, and what it can do.
    for module in (operations, health):
        app.include_router(module.router)
    app.add_api_route("/", _to_documentation, include_in_schema=False)
    return app


async def _to_documentation() -> RedirectResponse:
    return RedirectResponse("/docs")


app = create_app(settings())
