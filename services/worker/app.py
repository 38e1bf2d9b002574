"""`celery -A services.worker.app worker`: the worker that runs audio jobs."""

from celery import Celery

from services.worker.assembly import make_worker
from services.worker.audio.engine import process
from shared.settings import settings

app: Celery = make_worker(settings(), process)
