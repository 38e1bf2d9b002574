"""How many jobs ended in each minute of the last hour, and the chart of that."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.schema.jobs import JobStatus
from shared.store.operations_views import OperationsViews

MINUTES = 60
# After so long the count of a minute is taken as it is: an end is seen when its transaction is over, which takes
# milliseconds.
_SETTLED = timedelta(seconds=30)
# With hundreds of ends a second, to count even the latest minutes costs something.
_COUNT_EVERY_SECONDS = 5.0
_MINUTE = timedelta(minutes=1)

Counts = Mapping[JobStatus, int]


class Throughput:
    """Keeps what it has counted: only the latest minutes are counted again."""

    def __init__(self, views: OperationsViews) -> None:
        self._views = views
        self._counts: dict[datetime, dict[JobStatus, int]] = {}
        self._settled_until: datetime | None = None
        self._count_at = float("-inf")

    async def last_hour(self) -> Sequence[tuple[datetime, Counts]]:
        """Each minute with its counts, the present one last."""
        present = datetime.now(UTC).replace(second=0, microsecond=0)
        oldest = present - (MINUTES - 1) * _MINUTE
        if time.monotonic() >= self._count_at:
            await self._count(max(oldest, self._settled_until or oldest))
            self._count_at = time.monotonic() + _COUNT_EVERY_SECONDS
        minutes = [oldest + number * _MINUTE for number in range(MINUTES)]
        return [(minute, self._counts.get(minute, {})) for minute in minutes]

    async def _count(self, since: datetime) -> None:
        asked_at = datetime.now(UTC)
        counts: dict[datetime, dict[JobStatus, int]] = defaultdict(dict)
        for found in await self._views.ended_by_minute(since):
            counts[found.minute][found.status] = found.jobs
        kept = {minute: count for minute, count in self._counts.items() if since - MINUTES * _MINUTE < minute < since}
        self._counts = {**kept, **counts}
        self._settled_until = (asked_at - _SETTLED).replace(second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a minute's column, in the chart's units."""

    kind: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Chart:
    """The last hour as stacked columns; the template draws it."""

    width: int
    height: int
    bar_width: float
    bars: Sequence[Bar]
    top: int  # jobs a minute at the upper edge
    totals: Counts


# From the bottom up.
_STACK = (JobStatus.SUCCEEDED, JobStatus.CANCELED, JobStatus.FAILED)
_WIDTH, _HEIGHT, _GAP = 600, 240, 2.0


def chart(minutes: Sequence[tuple[datetime, Counts]]) -> Chart:
    """The chart of some minutes."""
    highest = max((sum(counts.values()) for _, counts in minutes), default=0)
    top = _round_up(highest)
    step = _WIDTH / max(1, len(minutes))
    bars = []
    for number, (_, counts) in enumerate(minutes):
        base = float(_HEIGHT)
        for status in _STACK:
            height = _HEIGHT * counts.get(status, 0) / top
            if height:
                base -= height
                bars.append(Bar(str(status), round(number * step, 2), round(base, 2), round(height, 2)))
    totals = {status: sum(counts.get(status, 0) for _, counts in minutes) for status in _STACK}
    return Chart(_WIDTH, _HEIGHT, round(step - _GAP, 2), bars, top, totals)


def _round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    size = 1
    while True:
        for step in (1, 2, 5):
            if number <= step * size:
                return step * size
        size *= 10
