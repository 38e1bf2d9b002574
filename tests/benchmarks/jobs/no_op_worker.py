"""Wavemill's worker with an engine that does nothing: all that is left of a job is its life cycle."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from celery import Celery

from services.worker.assembly import make_worker
from services.worker.audio.engine import Limits, Report
from services.worker.audio.inputs import Extra
from shared.schema.operations import AnyOperation
from shared.settings import settings


def no_op(
    _source: Path,
    _operations: Sequence[AnyOperation],
    _output_dir: Path,
    /,
    *,
    limits: Limits,
    on_progress: Callable[[float], None],
    is_cancelled: Callable[[], bool],
    source_name: str | None,
    extras: Mapping[str, Extra],
) -> Report:
    """Do nothing."""
    return Report({}, (), 0.0)


app: Celery = make_worker(settings(), no_op)
