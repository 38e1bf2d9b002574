"""The reconciler's loop: who performs the duties, and what happens when one of them fails."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from services.monitor import reconciler
from services.monitor.duties import Outcome
from services.monitor.reconciler import LEADERSHIP, Reconciler, ReconcilerMetrics
from shared.store.leadership import Leadership
from shared.store.tallies import RECONCILER_ACTIONS, Tallies
from tests.integration.monitor.conftest import House


@dataclass
class Count:
    """A duty that counts its turns, and fails in the first ones."""

    kind: str
    failures: int = 0
    turns: int = 0
    more_until: int = 0
    has_no_more: asyncio.Event = field(default_factory=asyncio.Event)

    async def perform(self) -> Outcome:
        self.turns += 1
        if self.turns <= self.failures:
            raise RuntimeError("as asked")
        if self.turns >= self.more_until:
            self.has_no_more.set()
        return Outcome(2, more=self.turns < self.more_until)


@dataclass
class Candidate:
    reconciler: Reconciler
    registry: CollectorRegistry
    duties: list[Count]

    def sample(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"wavemill_reconciler_{name}", labels)
        assert value is not None
        return value


MakeCandidate = Callable[..., Candidate]


@pytest.fixture
def make_candidate(house: House) -> MakeCandidate:
    def make(
        holder: str, *duties: Count, leadership_seconds: float = 30.0, interval_seconds: float = 0.05
    ) -> Candidate:
        registry = CollectorRegistry()
        reconciler = Reconciler(
            Leadership(house.database, name=LEADERSHIP, holder=holder, lease_seconds=leadership_seconds),
            duties,
            Tallies(house.database),
            ReconcilerMetrics(registry, duties),
            interval_seconds=interval_seconds,
            leadership_seconds=leadership_seconds,
        )
        return Candidate(reconciler, registry, list(duties))

    return make


async def actions(house: House) -> dict[str, int]:
    """How often each duty has done something, as the database has it."""
    return {
        tally.label: tally.total for tally in await Tallies(house.database).all() if tally.name == RECONCILER_ACTIONS
    }


async def test_one_leads_and_the_other_stands_by(house: House, make_candidate: MakeCandidate) -> None:
    first, second = make_candidate("first", Count("a")), make_candidate("second", Count("a"))
    for _ in range(3):
        await first.reconciler.turn()
        await second.reconciler.turn()
    assert (first.duties[0].turns, second.duties[0].turns) == (3, 0)
    assert (first.sample("leader"), second.sample("leader")) == (1, 0)
    assert await actions(house) == {"a": 6}
    assert time.time() - first.sample("last_run_timestamp_seconds") < 60
    assert second.sample("last_run_timestamp_seconds") == 0


@pytest.fixture
def patient_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is: a monitor that ends does not wait for long to give up the leadership."""
    monkeypatch.setattr(reconciler, "_RELEASE_SECONDS", 30)


@pytest.mark.usefixtures("patient_release")
async def test_one_that_stops_lets_another_lead_at_once(make_candidate: MakeCandidate) -> None:
    first, second = make_candidate("first", Count("a")), make_candidate("second", Count("a"))
    running = asyncio.create_task(first.reconciler.run())
    async with asyncio.timeout(30):
        await first.duties[0].has_no_more.wait()
    assert first.sample("leader") == 1
    running.cancel()
    await asyncio.wait([running])
    assert first.sample("leader") == 0
    await second.reconciler.turn()
    assert second.reconciler.leads


async def test_one_that_falls_silent_is_replaced_when_its_lease_is_out(make_candidate: MakeCandidate) -> None:
    first = make_candidate("first", Count("a"), leadership_seconds=1.0)
    second = make_candidate("second", Count("a"), leadership_seconds=1.0)
    await first.reconciler.turn()
    await second.reconciler.turn()
    assert (first.reconciler.leads, second.reconciler.leads) == (True, False)
    await asyncio.sleep(1.2)
    assert not first.reconciler.leads  # without having asked
    await second.reconciler.turn()
    assert second.reconciler.leads
    await first.reconciler.turn()
    assert not first.reconciler.leads


@pytest.mark.usefixtures("patient_release")
async def test_actions_outlive_the_monitor_that_did_them(house: House, make_candidate: MakeCandidate) -> None:
    first = make_candidate("first", Count("a"), Count("idle", failures=99))
    await first.reconciler.turn()
    assert await actions(house) == {"a": 2, "idle": 0}
    await first.reconciler._resign()
    second = make_candidate("second", Count("a"), Count("idle", failures=99))
    await second.reconciler.turn()
    assert await actions(house) == {"a": 4, "idle": 0}


async def test_actions_that_could_not_be_put_on_record_are_put_there_later(
    house: House, make_candidate: MakeCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise ConnectionError("as asked")

    candidate = make_candidate("only", Count("a"))
    with monkeypatch.context() as patch:
        patch.setattr(Tallies, "add", fails)
        await candidate.reconciler.turn()
    assert await actions(house) == {}
    await candidate.reconciler.turn()
    assert await actions(house) == {"a": 4}


async def test_a_duty_that_fails_is_counted_and_does_not_stop_the_others(
    house: House, make_candidate: MakeCandidate
) -> None:
    candidate = make_candidate("only", Count("a"), Count("b", failures=2), Count("c"))
    for _ in range(3):
        await candidate.reconciler.turn()
    assert [duty.turns for duty in candidate.duties] == [3, 3, 3]
    assert [candidate.sample("failures_total", kind=kind) for kind in "abc"] == [0, 2, 0]
    assert await actions(house) == {"a": 6, "b": 2, "c": 6}


async def test_there_is_no_pause_while_a_duty_has_more_to_do(make_candidate: MakeCandidate) -> None:
    candidate = make_candidate("only", Count("a", more_until=5), interval_seconds=60.0)
    running = asyncio.create_task(candidate.reconciler.run())
    async with asyncio.timeout(30):
        await candidate.duties[0].has_no_more.wait()
    await asyncio.sleep(0.5)
    assert candidate.duties[0].turns == 5
    running.cancel()
    await asyncio.wait([running])
