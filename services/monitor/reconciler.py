"""The reconciler's loop: of all the monitors one performs the duties, the others stand by."""

import asyncio
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from uuid import uuid4

import prometheus_client
import structlog
from prometheus_client import CollectorRegistry, Gauge

from services.monitor.duties import Duty
from services.monitor.reasons import in_a_line
from shared.store.leadership import Leadership
from shared.store.tallies import RECONCILER_ACTIONS, Tallies

log = structlog.get_logger()

LEADERSHIP = "reconciler"
# A duty that takes longer hangs on a store; its next turn goes on where it stopped.
_DUTY_SECONDS = 120.0
_RELEASE_SECONDS = 0.5


def holder_name() -> str:
    """A name for this process that no other has, nor this one's successor on the same host."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid4().hex[:8]}"


class ReconcilerMetrics:
    """What the reconciler says of itself."""

    def __init__(self, registry: CollectorRegistry, duties: Sequence[Duty]) -> None:
        self.failures = prometheus_client.Counter(
            "wavemill_reconciler_failures", "Turns of a duty that failed.", ["kind"], registry=registry
        )
        self.last_run = Gauge(
            "wavemill_reconciler_last_run_timestamp_seconds",
            "When this monitor last went through all duties, as Unix time; 0 if it never did.",
            registry=registry,
        )
        self.leader = Gauge(
            "wavemill_reconciler_leader", "1 where this monitor is the one that performs the duties.", registry=registry
        )
        for duty in duties:
            # A series that is there from the beginning: an increase from nothing to 1 is none to Prometheus.
            self.failures.labels(duty.kind)


class Reconciler:
    """Performs the duties in turn, again and again, while it leads."""

    def __init__(
        self,
        leadership: Leadership,
        duties: Sequence[Duty],
        tallies: Tallies,
        metrics: ReconcilerMetrics,
        *,
        interval_seconds: float,
        leadership_seconds: float,
    ) -> None:
        self._leadership = leadership
        self._duties = duties
        self._tallies = tallies
        # What was done and is not on record yet. Each duty is put on record at 0 first: an increase from nothing to 1
        # is none to Prometheus.
        self._uncounted = Counter({duty.kind: 0 for duty in duties})
        self._metrics = metrics
        self._interval_seconds = interval_seconds
        self._leadership_seconds = leadership_seconds
        self._leads_until = float("-inf")
        self._was_leading = False
        self._store_is_away = False
        metrics.leader.set_function(lambda: float(self.leads))

    @property
    def leads(self) -> bool:
        """Whether this one leads. It knows without the store when its lease has run out."""
        return time.monotonic() < self._leads_until

    async def run(self) -> None:
        """Until it is cancelled; then another may lead at once."""
        try:
            while True:
                if not await self.turn():
                    await asyncio.sleep(self._interval_seconds)
        finally:
            await self._resign()

    async def turn(self) -> bool:
        """Each duty once. True when one of them has more to do right away."""
        more = False
        for duty in self._duties:
            # Before each of them: a turn may take longer than the lease.
            if not await self._keep_leading():
                return False
            more |= await self._perform(duty)
            await self._put_on_record()
        self._metrics.last_run.set_to_current_time()
        return more

    async def _keep_leading(self) -> bool:
        asked_at = time.monotonic()
        try:
            leads = await self._leadership.acquire()
        except Exception as error:
            if not self._store_is_away:
                log.warning("leadership unknown: the database cannot be reached", reason=type(error).__name__)
            self._store_is_away = True
            return False
        self._store_is_away = False
        self._leads_until = asked_at + self._leadership_seconds if leads else float("-inf")
        if leads != self._was_leading:
            log.info("leads the reconciliation" if leads else "stands by: another monitor leads")
        self._was_leading = leads
        return leads

    async def _perform(self, duty: Duty) -> bool:
        try:
            async with asyncio.timeout(_DUTY_SECONDS):
                outcome = await duty.perform()
        except Exception as error:
            # Whatever it is, the other duties go on; what is a fault of ours stays visible as a count that grows.
            self._metrics.failures.labels(duty.kind).inc()
            log.warning("duty failed", kind=duty.kind, reason=in_a_line(error))
            return False
        if outcome.done:
            self._uncounted[duty.kind] += outcome.done
        return outcome.more

    async def _put_on_record(self) -> None:
        """In the database, where the counts outlive this monitor, and where every monitor sees them."""
        if not self._uncounted:
            return
        try:
            async with asyncio.timeout(_DUTY_SECONDS):
                await self._tallies.add(RECONCILER_ACTIONS, self._uncounted)
        except Exception as error:
            # They are not lost: the next turn tries again.
            log.warning("actions not put on record", reason=in_a_line(error))
        else:
            self._uncounted.clear()

    async def _resign(self) -> None:
        if not self.leads:
            return
        self._leads_until = float("-inf")
        # Failing that, the lease runs out by itself.
        with suppress(Exception):
            async with asyncio.timeout(_RELEASE_SECONDS):
                await self._leadership.release()
