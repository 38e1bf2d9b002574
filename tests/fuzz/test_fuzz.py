"""A short run of what `make fuzz` does at length."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import sandbox as box
from tests.fuzz.damage import Hostile, hostile_files
from tests.fuzz.sandbox import Sandbox, Verdict, sandbox
from tests.fuzz.seeds import MADE_BY_HAND, seeds


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One process for all files, as a worker's child is."""
    with sandbox(tmp_path_factory.mktemp("fuzz")) as box:
        yield box


def test_undamaged_files_of_every_format_are_processed(opened: Sandbox) -> None:
    refused = {
        name: verdict.outcome
        for number, (name, content) in enumerate(seeds().items())
        if name not in MADE_BY_HAND
        if (verdict := opened.open(Hostile(name, content, name), number)).outcome != "done"
    }
    assert not refused


@settings(deadline=None, max_examples=150, database=None, suppress_health_check=list(HealthCheck))
@given(file=hostile_files(), operation=st.integers(0, 1000))
def test_damaged_file_is_an_error_at_most(opened: Sandbox, file: Hostile, operation: int) -> None:
    verdict = opened.open(file, operation)
    assert not verdict.is_fault, verdict.outcome


def test_process_that_dies_is_told_and_replaced(opened: Sandbox) -> None:
    file = Hostile("s16.wav", seeds()["s16.wav"], None)
    os.kill(opened.pid, signal.SIGSEGV)
    assert opened.open(file, 0) == Verdict("died of SIGSEGV", is_fault=True, peak_mib=None)
    assert opened.open(file, 0).outcome == "done"


def test_process_that_hangs_is_told_and_replaced(opened: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Hostile("s16.wav", seeds()["s16.wav"], None)
    os.kill(opened.pid, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(box, "WALL_TICKS", 1)
        assert opened.open(file, 0).outcome.startswith("hangs")
    assert opened.open(file, 0).outcome == "done"
