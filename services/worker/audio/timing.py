"""Where the time of a run goes: to decoding, to what several operations share, and to each operation."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from services.worker.audio.pcm import Block, Samples
from services.worker.audio.pipeline import Consumer


@dataclass(frozen=True, slots=True)
class Timing:
    """One part of a run. Parts run beside one another: their spans overlap.

    Attributes:
        step: `decode`, `edit`, `meter` or the kind of an operation.
        began_ns: Unix time in nanoseconds of the first block.
        ended_ns: of the end of the last pass.
        busy_seconds: how long it was at work in between.
    """

    step: str
    began_ns: int
    ended_ns: int
    busy_seconds: float


class Stopwatch:
    """Times one part of a run, over all its passes."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._laps: list[_Lap] = []

    def blocks(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """The same blocks, their making timed."""
        lap = self._lap()
        while True:
            lap.begin()
            block = next(blocks, None)
            lap.end()
            if block is None:
                return
            yield block

    def transformed(
        self, transform: Callable[[Iterator[Block]], Iterator[Block]], blocks: Iterator[Block]
    ) -> Iterator[Block]:
        """What a transformation makes of blocks, timed without the time that it waits for them."""
        lap = self._lap()

        def awaited() -> Iterator[Block]:
            while True:
                lap.end()
                block = next(blocks, None)
                lap.begin()
                if block is None:
                    return
                yield block

        results = transform(awaited())
        while True:
            lap.begin()
            result = next(results, None)
            lap.end()
            if result is None:
                return
            yield result

    def consumer(self, consumer: Consumer) -> Consumer:
        """The same consumer, timed."""
        return _Timed(consumer, self._lap())

    def timing(self) -> Timing | None:
        """The times, once everything has ended; None of what had nothing to do."""
        laps = [lap for lap in self._laps if lap.began_ns]
        if not laps:
            return None
        return Timing(
            self._step,
            min(lap.began_ns for lap in laps),
            max(lap.ended_ns for lap in laps),
            sum(lap.busy_seconds for lap in laps),
        )

    def _lap(self) -> "_Lap":
        # One for each thread that works for it.
        self._laps.append(_Lap())
        return self._laps[-1]


class Stopwatches:
    """Those of one run."""

    def __init__(self, operations: Sequence[str]) -> None:
        self.decode = Stopwatch("decode")
        self.edit = Stopwatch("edit")
        self.meter = Stopwatch("meter")
        self.operations = [Stopwatch(operation) for operation in operations]

    def timings(self) -> tuple[Timing, ...]:
        """The times, once everything has ended."""
        watches = (self.decode, self.edit, self.meter, *self.operations)
        return tuple(timing for watch in watches if (timing := watch.timing()) is not None)


class _Lap:
    def __init__(self) -> None:
        self.began_ns = self.ended_ns = 0
        self.busy_seconds = 0.0
        self._since = 0.0

    def begin(self) -> None:
        self.began_ns = self.began_ns or time.time_ns()
        self._since = time.perf_counter()

    def end(self) -> None:
        self.busy_seconds += time.perf_counter() - self._since
        self.ended_ns = time.time_ns()


class _Timed:
    def __init__(self, consumer: Consumer, lap: _Lap) -> None:
        self._consumer = consumer
        self._lap = lap

    def add(self, samples: Samples) -> None:
        self._lap.begin()
        self._consumer.add(samples)
        self._lap.end()

    def finish(self) -> None:
        self._lap.begin()
        self._consumer.finish()
        self._lap.end()
