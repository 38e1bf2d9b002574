"""Bare Celery: a no-op task, acks late, prefetch 1, no database, no results."""

import os

from celery import Celery

app = Celery("peer", broker=os.environ.get("REDIS_URL"))
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True)


@app.task
def no_op(number: int) -> None:
    """Do nothing."""
