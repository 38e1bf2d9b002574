"""Why an attempt failed, in words for the user, and whether another attempt can help.

The file's faults are for ever; the environment's pass: those are retried.
"""

import random
from dataclasses import dataclass

from redis.exceptions import RedisError

from services.worker.audio.errors import AudioError, Cancelled
from services.worker.outbound.errors import ERRORS as OUTBOUND_ERRORS
from services.worker.outbound.errors import OutboundError
from shared.blobs import BlobMissing, BlobStoreUnavailable
from shared.settings import Settings
from shared.store.errors import DATABASE_ERRORS, is_unavailable


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason with a stable code, and a sentence for the user."""

    code: str
    message: str
    is_transient: bool = False
    needs_traceback: bool = False


TIME_LIMIT = Failure("time_limit", "The job took longer than a job may take, and was stopped.")
_INTERNAL = Failure(
    "internal_error",
    "Wavemill itself made a mistake on this job. The worker's log has the details, under the job's id.",
    needs_traceback=True,
)
_STORAGE = Failure("storage_unavailable", "The storage of inputs and results could not be used.", is_transient=True)
_STORE = Failure(
    "store_unavailable", "A part of Wavemill that keeps its records could not be reached.", is_transient=True
)
_CONNECTION = Failure("connection_failed", "A connection within Wavemill broke off.", is_transient=True)
_TIMEOUT = Failure("timed_out", "A part of Wavemill did not answer in time.", is_transient=True)
_ENVIRONMENT = Failure("io_error", "The worker could not read or write its files.", is_transient=True)
_MEMORY = Failure("out_of_memory", "The job needed more memory than a worker may use.")
_INPUT_GONE = Failure("input_missing", "The input is no longer stored; send it again.")

# The first row that fits counts: the narrow ones stand above the wide ones.
_TABLE: tuple[tuple[type[BaseException], Failure], ...] = (
    (BlobMissing, _INPUT_GONE),
    (BlobStoreUnavailable, _STORAGE),
    (RedisError, _STORE),
    (ConnectionError, _CONNECTION),
    (TimeoutError, _TIMEOUT),
    (OSError, _ENVIRONMENT),
    (MemoryError, _MEMORY),
)


def _audio_codes(kind: type[AudioError]) -> set[str]:
    return {kind.code}.union(*(_audio_codes(narrower) for narrower in kind.__subclasses__()))


TRANSIENT_CODES = frozenset(failure.code for _, failure in _TABLE if failure.is_transient) | {
    kind.code for kind in OUTBOUND_ERRORS if kind.is_transient
}
CODES = (
    frozenset(failure.code for _, failure in _TABLE)
    | _audio_codes(AudioError)
    | {kind.code for kind in OUTBOUND_ERRORS}
    | {TIME_LIMIT.code, _INTERNAL.code}
) - {Cancelled.code}
"""Every code that a job can fail with, but for that of a lost worker."""


def classify(error: BaseException) -> Failure:
    """What to tell the user of an error, and whether to try again."""
    if isinstance(error, AudioError):
        return Failure(error.code, str(error))
    if isinstance(error, OutboundError):
        return Failure(error.code, str(error), is_transient=error.is_transient)
    if isinstance(error, DATABASE_ERRORS) and not isinstance(error, OSError):
        return _STORE if is_unavailable(error) else _INTERNAL
    return next((failure for kind, failure in _TABLE if isinstance(error, kind)), _INTERNAL)


def backoff_seconds(attempts_spent: int, settings: Settings) -> float:
    """How long to wait after so many attempts: exponential, with full jitter, bounded.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = settings.retry_backoff_base_seconds * 2.0 ** (attempts_spent - 1)
    return random.uniform(0.0, min(ceiling, settings.retry_backoff_max_seconds))
