"""One comparison: Wavemill's turns beside those of one tool, or of several that are run one after another."""

from collections.abc import Mapping, Sequence

from tests.benchmarks.audio.turns import Turns, fastest, wall
from tests.benchmarks.report import Row

Builds = Sequence[str]
"""The names of turns that do the same work by different builds of a tool; the fastest counts."""


def faster(
    what: str,
    turns: Turns,
    ours: str,
    beside: Mapping[str, Builds],
    *,
    must: float,
    aim: float,
    faults: Sequence[str] = (),
) -> Row:
    """A row of how many times as fast: the tools' time, one after another, to ours."""
    chosen = {tool: fastest(turns, builds) for tool, builds in beside.items()}
    theirs = [sum(turns[name][number].wall for name in chosen.values()) for number in range(len(turns[ours]))]
    return Row(
        what=what,
        wavemill=_seconds(wall(turns[ours])),
        beside=f"{_seconds(sum(wall(turns[name]) for name in chosen.values()))} ({', '.join(chosen.values())})",
        compared="ratio",
        rounds=tuple(other / mine.wall for other, mine in zip(theirs, turns[ours], strict=True)),
        must=must,
        aim=aim,
        better="higher",
        faults=tuple(faults),
    )


def differs(what: str, ours: float | None, theirs: float | None, *, most: float, unit: str) -> tuple[str, ...]:
    """A fault, if two results that are to be the same are further apart than they may be."""
    if ours is not None and theirs is not None and abs(ours - theirs) <= most + 1e-9:
        return ()
    return (f"{what} {ours} {unit}, beside it {theirs} {unit}",)


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
