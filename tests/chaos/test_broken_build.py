"""The chaos suite must be able to fail: it finds out a build whose store does not ask who holds the lease."""

import shutil
from pathlib import Path

import pytest

from tests.chaos import verdict
from tests.chaos.recipes import LONG
from tests.chaos.run import Plan, run
from tests.chaos.schedule import Fault, Kind
from tests.system import ROOT

_LEASE_CHECK = """
    _JOB & (jobs.c.attempt == _given("attempt", jobs.c.attempt.type)) & (jobs.c.lease_token == _given("token", Uuid))
"""
# One child after another is stopped in the middle of a job; another attempt is underway or done when it goes on.
_FREEZES = [Fault(at, Kind.CHILD_FROZEN, which, coin=False) for which, at in enumerate((3.0, 4.0, 14.0, 15.0))]


def without_lease_check(folder: Path) -> Path:
    """A copy of the services whose writes to a running job name the job, and nothing of its lease."""
    for package in ("services", "shared"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    store = folder / "shared" / "store" / "job_statements.py"
    source = store.read_text()
    assert source.count(_LEASE_CHECK) == 1, "the lease check looks different now: this test must break the new one"
    store.write_text(source.replace(_LEASE_CHECK, "\n    _JOB\n"))
    return folder


@pytest.mark.timeout(290)
async def test_a_build_without_the_lease_check_is_found_out(tmp_path: Path) -> None:
    checkout = without_lease_check(tmp_path / "broken")
    folder = tmp_path / "run"
    folder.mkdir()
    plan = Plan(1, seconds=22.0, jobs=22, faults=_FREEZES, recipes=LONG, checkout=checkout, workers=1, monitors=1)
    outcome = await run(plan, folder)
    assert outcome.by_kind.get(verdict.DOUBLED, 0) >= 1, (outcome.faults, outcome.breaches)
