"""The operations page's own arithmetic: how often a login may fail, the chart, and how values are written."""

from datetime import UTC, datetime, timedelta

import pytest

from services.monitor.page.login_limit import LoginLimit
from services.monitor.page.rendering import duration, elapsed, size
from services.monitor.page.throughput import chart
from shared.schema.jobs import JobStatus


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_five_wrong_keys_an_address_waits_five_minutes() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for _ in range(5):
        assert limit.wait_seconds("192.0.2.1") == 0
        limit.failed("192.0.2.1")
        clock.now += 10
    assert limit.wait_seconds("192.0.2.1") == 250
    assert limit.wait_seconds("192.0.2.2") == 0
    clock.now += 250
    assert limit.wait_seconds("192.0.2.1") == 0
    limit.failed("192.0.2.1")
    assert limit.wait_seconds("192.0.2.1") == 10, "the next of the five runs out then"


def test_a_crowd_of_addresses_may_fail_fifty_times_together() -> None:
    clock = Clock()
    limit = LoginLimit(clock)
    for number in range(50):
        assert limit.wait_seconds(f"192.0.2.{number}") == 0
        limit.failed(f"192.0.2.{number}")
    clock.now += 60
    assert limit.wait_seconds("198.51.100.1") == 240
    clock.now += 240
    assert limit.wait_seconds("198.51.100.1") == 0


def test_the_chart_stacks_a_minutes_ends_on_each_other() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    counts = [{}, {JobStatus.SUCCEEDED: 10, JobStatus.FAILED: 5, JobStatus.CANCELED: 5}, {JobStatus.SUCCEEDED: 13}]
    drawn = chart([(start + timedelta(minutes=number), count) for number, count in enumerate(counts)])
    assert (drawn.top, drawn.width, drawn.height) == (20, 600, 240)
    # Each minute is 200 wide; 20 jobs are the whole height.
    assert [(bar.kind, bar.x, bar.y, bar.height) for bar in drawn.bars] == [
        ("succeeded", 200.0, 120.0, 120.0),
        ("canceled", 200.0, 60.0, 60.0),
        ("failed", 200.0, 0.0, 60.0),
        ("succeeded", 400.0, 84.0, 156.0),
    ]
    assert drawn.totals == {JobStatus.SUCCEEDED: 23, JobStatus.FAILED: 5, JobStatus.CANCELED: 5}


@pytest.mark.parametrize(
    ("highest", "top"), [(0, 1), (1, 1), (3, 5), (11, 20), (50, 50), (51, 100), (123_456, 200_000)]
)
def test_its_upper_edge_is_a_round_number(highest: int, top: int) -> None:
    assert chart([(datetime(2026, 1, 1, tzinfo=UTC), {JobStatus.FAILED: highest})]).top == top


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-3, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (3599.9, "1 h"),
        (7384, "2 h 3 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_lengths_of_time(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_short_measured_times_and_sizes() -> None:
    assert [elapsed(seconds) for seconds in (0.004, 9.5, 10, None)] == ["0.00 s", "9.50 s", "10 s", "\u2013"]
    assert [size(count) for count in (0, 1023, 1024, 3 * 2**20, 5 * 2**40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "3.0 MiB",
        "5120.0 GiB",
    ]
