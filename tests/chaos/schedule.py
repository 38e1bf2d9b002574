"""Which fault comes when: drawn from a seed, so that a run's faults can be had again, if not to the moment."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The faults."""

    CHILD_KILLED = "SIGKILL of a worker's child"
    WORKER_KILLED = "SIGKILL of a worker with its children"
    PARENT_KILLED = "SIGKILL of a worker's parent alone"
    WORKER_RESTARTED = "SIGTERM of a worker, then a new one"
    CHILD_FROZEN = "SIGSTOP of a child for longer than a lease"
    WORKER_FROZEN = "SIGSTOP of a worker for longer than a lease"
    API_KILLED = "SIGKILL of the API"
    API_RESTARTED = "SIGTERM of the API, then a new one"
    MONITOR_KILLED = "SIGKILL of a monitor"
    REDIS_FLUSHED = "Redis FLUSHALL"
    REDIS_RESTARTED = "Redis restarted with its data"
    REDIS_EMPTIED = "Redis restarted empty"
    POSTGRES_RESTARTED = "PostgreSQL restarted"
    POSTGRES_KILLED = "SIGKILL of PostgreSQL"
    REDIS_CUT = "network to Redis cut"
    POSTGRES_CUT = "network to PostgreSQL cut"
    BLOBS_REFUSED = "blob store refuses artifacts"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it begins, in seconds from the start of the load, and the draws that settle its details."""

    at: float
    kind: Kind
    which: int  # of the workers, monitors or children; any number, taken modulo how many there are
    coin: bool  # the connections of a network that was cut are reset, rather than go on


def drawn(
    seed: int, *, first: float, last: float, gap: tuple[float, float], kinds: Sequence[Kind] = tuple(Kind)
) -> list[Fault]:
    """Faults from `first` to `last` (seconds), a gap apart.

    Dealt like cards: every kind comes once before any comes again, so that a short run has them all.
    """
    draw = random.Random(seed)
    faults: list[Fault] = []
    deck: list[Kind] = []
    at = first
    while at < last:
        if not deck:
            deck = draw.sample(kinds, len(kinds))
        faults.append(Fault(round(at, 2), deck.pop(), draw.randrange(1000), draw.random() < 0.5))
        at += draw.uniform(*gap)
    return faults
