"""What a child counts and measures of its attempts."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram

from services.worker import failures
from shared.schema.jobs import JobStatus
from shared.store.records import Claim
from shared.telemetry.metrics import LONG_SECONDS, powers_of_two


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    RETRIED = "retried"
    HANDED_BACK = "handed_back"
    LEASE_LOST = "lease_lost"


_BY_STATUS = {
    JobStatus.SUCCEEDED: Outcome.SUCCEEDED,
    JobStatus.FAILED: Outcome.FAILED,
    JobStatus.CANCELED: Outcome.CANCELED,
}


def outcome_of(status: JobStatus, *, shuts_down: bool) -> Outcome:
    """The outcome of an attempt that left its job with a status."""
    return _BY_STATUS.get(status, Outcome.HANDED_BACK if shuts_down else Outcome.RETRIED)


class Step(StrEnum):
    """A part of an attempt that is timed."""

    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    FETCH = "fetch"
    PROCESS = "process"
    STORE = "store"
    FINISH = "finish"


def cpu_seconds() -> float:
    """Processor time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """What an attempt costs and moves, from its start on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._cpu_before = cpu_seconds()
        self.audio_seconds: float | None = None
        self.input_bytes = 0
        self.output_bytes = 0

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self._began

    @property
    def cpu_seconds(self) -> float:
        """Processor time since the start."""
        return cpu_seconds() - self._cpu_before


class AttemptMetrics:
    """The metrics of one child. They hold counts alone, which can be added up over the children; no gauge."""

    def __init__(self, registry: CollectorRegistry, *, slot: int) -> None:
        self._attempts = Counter(
            "wavemill_worker_attempts", "Attempts that ended, by how.", ["outcome"], registry=registry
        )
        self._ignored = Counter(
            "wavemill_worker_messages_ignored",
            "Messages whose job was not there to be claimed: they came twice or late, or the job had ended.",
            registry=registry,
        )
        self._duration = Histogram(
            "wavemill_worker_job_duration_seconds",
            "Time from the claim to the end of an attempt. One with several operations counts under each of them.",
            ["operation", "outcome"],
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self._wait = Histogram(
            "wavemill_worker_job_wait_seconds",
            "Time from a job's creation to its first claim. One with several operations counts under each of them.",
            ["operation", "queue"],
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self._realtime_factor = Histogram(
            "wavemill_worker_realtime_factor",
            "Seconds of work for a second of audio, of attempts that succeeded; under each operation, as above.",
            ["operation"],
            buckets=powers_of_two(-12, 2),
            registry=registry,
        )
        self._steps = Histogram(
            "wavemill_worker_step_duration_seconds",
            "Time that a step of an attempt took. Claim, heartbeat and finish wait for the database, fetch and store "
            "for the blob store; process is the audio engine.",
            ["step"],
            buckets=powers_of_two(-10, 12),
            registry=registry,
        )
        self._audio = Counter("wavemill_worker_audio_seconds", "Audio that was decoded, in seconds.", registry=registry)
        self._input = Counter(
            "wavemill_worker_input_bytes", "Bytes of the inputs that were worked on.", registry=registry
        )
        self._output = Counter(
            "wavemill_worker_output_bytes", "Bytes of the artifacts that were stored.", registry=registry
        )
        self._failures = Counter(
            "wavemill_worker_failures",
            "Attempts that ended their job as failed, by the job's error code.",
            ["code"],
            registry=registry,
        )
        self._retries = Counter(
            "wavemill_worker_retries",
            "Attempts after which the job is tried again, by the error code.",
            ["code"],
            registry=registry,
        )
        self._children_lost = Counter(
            "wavemill_worker_children_lost",
            "Children that did not end in order: killed, crashed, or out of memory. Counted when replaced.",
            registry=registry,
        )
        self._cpu = Counter(
            "wavemill_worker_slot_cpu_seconds",
            "Processor time of the children that have had this slot, up to the last heartbeat or end of an attempt.",
            ["slot"],
            registry=registry,
        ).labels(slot)
        self._cpu_counted = 0.0
        self._timed = {step: self._steps.labels(step) for step in Step}
        # Series that are there from the beginning: an increase from nothing to 1 is none to Prometheus.
        for outcome in Outcome:
            self._attempts.labels(outcome)
        for code in failures.CODES:
            self._failures.labels(code)
        for code in failures.TRANSIENT_CODES:
            self._retries.labels(code)

    @contextmanager
    def timed(self, step: Step) -> Iterator[None]:
        """Time a step, however it ends."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self._timed[step].observe(time.perf_counter() - began)

    def ignored(self) -> None:
        """A message was of no use."""
        self._ignored.inc()

    def claimed(self, claim: Claim) -> None:
        """An attempt begins."""
        if claim.waited_seconds is not None:
            for operation in _operations(claim):
                self._wait.labels(operation, claim.queue).observe(claim.waited_seconds)

    def ended(self, claim: Claim, outcome: Outcome, meter: Meter) -> None:
        """An attempt ended."""
        seconds = meter.seconds
        self._attempts.labels(outcome).inc()
        for operation in _operations(claim):
            self._duration.labels(operation, outcome).observe(seconds)
            if outcome is Outcome.SUCCEEDED and meter.audio_seconds:
                self._realtime_factor.labels(operation).observe(seconds / meter.audio_seconds)
        if meter.audio_seconds:
            self._audio.inc(meter.audio_seconds)
        self._input.inc(meter.input_bytes)
        self._output.inc(meter.output_bytes)
        self.used_cpu()

    def failed(self, code: str) -> None:
        """An attempt failed, and its job with it."""
        self._failures.labels(code).inc()

    def retried(self, code: str) -> None:
        """An attempt failed, and another is to follow."""
        self._retries.labels(code).inc()

    def child_lost(self) -> None:
        """The child before this one, in its slot, did not end in order."""
        self._children_lost.inc()

    def used_cpu(self) -> None:
        """Count the processor time since this was last called."""
        now = cpu_seconds()
        self._cpu.inc(now - self._cpu_counted)
        self._cpu_counted = now


def _operations(claim: Claim) -> set[str]:
    return {operation.op for operation in claim.spec.operations}
