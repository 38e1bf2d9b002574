"""One run: a load, faults meanwhile, a time to recover, and then the verdict."""

import asyncio
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos import verdict, watching
from tests.chaos.evidence import Evidence, collect
from tests.chaos.faults import Faults
from tests.chaos.load import Answer, Load, Submission
from tests.chaos.recipes import MIXED, Recipe, make_clips
from tests.chaos.schedule import Fault
from tests.chaos.testbed import LEASE_SECONDS, Testbed, looking, opened
from tests.system import ROOT

_STREAMS_END_SECONDS = 30.0
# Time for those that were stopped and go on, or that lost their parent, to try and write what they must not.
_LATE_WRITES_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen."""

    seed: int
    seconds: float
    jobs: int
    faults: Sequence[Fault]
    cut_seconds: float = 10.0
    recipes: Sequence[Recipe] = MIXED
    checkout: Path = ROOT
    workers: int = 2
    monitors: int = 2
    watched: bool = False
    """Whether a Prometheus looks on, which then may raise no alert without a reason."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened."""

    plan: Plan
    evidence: Evidence
    breaches: Sequence[verdict.Breach]
    faults: Sequence[tuple[Fault, str]]
    alerts: Sequence[str] | None  # those that fired; None where nobody looked
    orphaned: Sequence[str]
    seconds: float
    quiet_after: float  # from the end of faults and load to the end of the last job
    longest_recovery: float
    times_down: int

    @property
    def by_kind(self) -> Mapping[str, int]:
        """Breaches, counted."""
        return Counter(breach.kind for breach in self.breaches)

    @property
    def by_answer(self) -> Mapping[Answer, int]:
        """Submissions by what their client was told."""
        return Counter(submission.answer for submission in self.evidence.submissions)

    def answered(self, answer: Answer) -> Sequence[Submission]:
        """The submissions that were answered so."""
        return [submission for submission in self.evidence.submissions if submission.answer is answer]


async def run(plan: Plan, folder: Path, *, say: Callable[[str], None] = print) -> Outcome:
    """Run the plan in an empty folder, where the services' log is left.

    Raises:
        ExceptionGroup: a fault could not be done or put right; there is no verdict then.
    """
    clips = make_clips(folder)
    # The default has a thread for each core and four more; each service that is stopped or started takes one.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
    started = time.monotonic()
    async with AsyncExitStack() as held:
        testbed = await held.enter_async_context(
            opened(folder, checkout=plan.checkout, workers=plan.workers, monitors=plan.monitors)
        )
        # In a thread: this loop serves the proxies.
        prometheus = await asyncio.to_thread(held.enter_context, watching.watching(testbed)) if plan.watched else None
        load = Load(
            str(testbed.system.client.base_url),
            clips,
            plan.recipes,
            seed=plan.seed,
            jobs=plan.jobs,
            seconds=plan.seconds,
        )
        faults = Faults(testbed, cut_seconds=plan.cut_seconds, say=say)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.run())
            tasks.create_task(faults.run(plan.faults))
        healed = time.monotonic()
        await _quiet(testbed)
        quiet_after = time.monotonic() - healed
        await load.close(patience_seconds=_STREAMS_END_SECONDS)
        await asyncio.sleep(_LATE_WRITES_SECONDS)
        alerts = await asyncio.to_thread(watching.alerts, prometheus) if prometheus else None
        for service in testbed.services:
            service.note_death()
        await asyncio.to_thread(testbed.system.stop)
        evidence = await collect(testbed.database_url, testbed.blobs, load.submissions)
    left, unexplained = verdict.orphaned(evidence)
    deaths = [verdict.Breach(verdict.DIED, death) for service in testbed.services for death in service.deaths]
    wrong_alerts = watching.breaches(alerts, evidence) if alerts else ()
    return Outcome(
        plan=plan,
        evidence=evidence,
        breaches=[*verdict.breaches(evidence), *unexplained, *deaths, *wrong_alerts],
        alerts=sorted(alerts.fired) if alerts else None,
        faults=faults.done,
        orphaned=left,
        seconds=time.monotonic() - started,
        quiet_after=quiet_after,
        longest_recovery=verdict.longest_recovery(evidence, LEASE_SECONDS),
        times_down=load.times_down,
    )


async def _quiet(testbed: Testbed) -> None:
    """Wait until every job has ended; those that have not when the time is up are the verdict's to find."""
    deadline = time.monotonic() + verdict.STUCK_SECONDS
    while time.monotonic() < deadline:
        async with looking(testbed.database_url) as connection:
            living = await connection.fetchval(
                "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running', 'fetching')"
            )
        if living == 0:
            return
        await asyncio.sleep(0.5)


def machine() -> str:
    """Where a run's figures come from."""
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores ({platform.machine()}, {platform.system()} {platform.release()}), "
        f"{memory:.0f} GiB, Python {platform.python_version()}, load average {load:.1f} at the start"
    )
