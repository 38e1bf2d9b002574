"""Taking turns: each thing once in each round, one after another, so that what the machine does hits all alike."""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], "Taken"]


@dataclass(frozen=True)
class Taken:
    """What one turn took."""

    wall: float
    """Seconds by the clock."""
    processor: float
    """Seconds of processor time, user and system, of all its threads and processes."""


Turns = Mapping[str, Sequence[Taken]]


def in_process(work: Callable[[], object]) -> Taken:
    """Of something that this process does."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Taken(time.perf_counter() - wall, time.process_time() - processor)


def of_program(command: Sequence[object], environment: Mapping[str, str] | None = None) -> Taken:
    """Of a program, from its start to its end.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        env=None if environment is None else {**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    after, ended = os.times(), time.perf_counter()
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(ended - began, processor)


def take_turns(works: Mapping[str, Work], rounds: int) -> Turns:
    """Everything once in each round; what came first in one round comes last in the next."""
    taken: dict[str, list[Taken]] = {name: [] for name in works}
    names = list(works)
    for _ in range(rounds):
        for name in names:
            taken[name].append(works[name]())
        names = [*names[1:], names[0]]
    for name, turns in taken.items():
        print(f"  {name}: {wall(turns):.3f} s, processor {processor(turns):.3f} s", flush=True)  # noqa: T201
    return taken


def wall(turns: Sequence[Taken]) -> float:
    """Median of the clock, seconds."""
    return statistics.median(taken.wall for taken in turns)


def processor(turns: Sequence[Taken]) -> float:
    """Median of the processor time, seconds."""
    return statistics.median(taken.processor for taken in turns)


def fastest(turns: Turns, names: Sequence[str]) -> str:
    """Which of some has the lowest median."""
    return min(names, key=lambda name: wall(turns[name]))


def raw(turns: Turns) -> dict[str, dict[str, list[float]]]:
    """For the JSON."""
    return {
        name: {
            "wall_seconds": [round(taken.wall, 4) for taken in each],
            "processor_seconds": [round(taken.processor, 4) for taken in each],
        }
        for name, each in turns.items()
    }
