"""`celery -A services.worker.app worker`: the Celery app, its task and what it does at start and end."""

from typing import Any

from celery import Celery, signals

from services.worker import child, presence, shutdown
from shared.broker import RUN_JOB, make_app
from shared.settings import settings
from shared.telemetry.logs import configure_logs

app: Celery = make_app(settings())
app.steps["worker"].add(presence.PresenceStep)


@app.task(name=RUN_JOB, bind=True)
def run_job(task: Any, job_id: str) -> str:
    """Run one attempt at a job. The answer says what became of it; the truth about it is in the store."""
    return child.current().run(job_id, traceparent=task.request.get("traceparent"))


@signals.setup_logging.connect
def _configure_logs(**_: Any) -> None:
    configure_logs("worker", settings())


@signals.worker_process_init.connect
def _child_starts(**_: Any) -> None:
    child.start()


@signals.worker_process_shutdown.connect
def _child_ends(**_: Any) -> None:
    child.stop()


@signals.worker_shutting_down.connect
def _worker_shuts_down(**_: Any) -> None:
    shutdown.hand_back_after(settings().worker_soft_shutdown_seconds)
