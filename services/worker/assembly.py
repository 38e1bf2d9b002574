"""A Celery worker, put together: the app, its tasks, and what happens when it and its children start and end."""

from typing import Any

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

from services.worker import child, presence, shutdown
from services.worker.attempt import Engine
from services.worker.metrics.exposition import MetricsStep
from services.worker.transport import LastingTransport
from shared.broker import DELIVER_WEBHOOK, FETCH_INPUT, RUN_JOB, make_app
from shared.settings import Settings
from shared.telemetry.logs import configure_logs


def make_worker(settings: Settings, engine: Engine) -> Celery:
    """The app of a worker whose children do their jobs with an engine. One for each process."""
    app = make_app(settings)
    app.steps["worker"].add(presence.PresenceStep)
    app.steps["worker"].add(MetricsStep)
    # Under the name of the one that it replaces: Celery and kombu show it, and ask for it.
    TRANSPORT_ALIASES["redis"] = f"{LastingTransport.__module__}:{LastingTransport.__name__}"

    @app.task(name=RUN_JOB, bind=True)
    def run_job(task: Any, job_id: str) -> str:
        """Run one attempt at a job. The answer says what became of it; the truth about it is in the store."""
        return child.current(engine).run(job_id, traceparent=task.request.get("traceparent"))

    @app.task(name=FETCH_INPUT, bind=True)
    def fetch_input(task: Any, job_id: str) -> str:
        """Run one attempt at fetching a job's inputs. Messages of it are on the queue `io` alone."""
        return child.current(engine).fetch(job_id, traceparent=task.request.get("traceparent"))

    @app.task(name=DELIVER_WEBHOOK, bind=True)
    def deliver_webhook(task: Any, delivery_id: str) -> str:
        """Run one attempt at telling a webhook. Messages of it are on the queue `io` alone."""
        return child.current(engine).deliver(delivery_id, traceparent=task.request.get("traceparent"))

    def configure(**_: Any) -> None:
        configure_logs("worker", settings)

    def start_child(**_: Any) -> None:
        child.start(engine)

    def end_child(**_: Any) -> None:
        child.stop()

    def shut_down(**_: Any) -> None:
        shutdown.hand_back_after(settings.worker_soft_shutdown_seconds)

    # Celery's signals would let go of receivers that nobody else holds.
    signals.setup_logging.connect(configure, weak=False)
    signals.worker_process_init.connect(start_child, weak=False)
    signals.worker_process_shutdown.connect(end_child, weak=False)
    signals.worker_shutting_down.connect(shut_down, weak=False)
    return app
