"""One pass: a thread that decodes, threads that encode, and the caller's thread that measures between them.

Everything heavy (FFmpeg, LAME, soxr, NumPy) lets go of the interpreter lock, so that threads are enough. Queues
are short: the memory of a pass does not depend on the length of the audio. The caller's callbacks are only ever
called in the caller's own thread.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TypeAlias

from services.worker.audio.errors import Cancelled
from services.worker.audio.pcm import Block, Samples
from services.worker.audio.threads import started

_QUEUE_BLOCKS = 3
_POLL_SECONDS = 0.05
_PROGRESS_SECONDS = 0.1
# What an encoder gets at once: long, for the interpreter lock goes from thread to thread with each piece; and short
# enough that the slowest notices a cancel well within a second.
_SLICE_FRAMES = 131_072


class Consumer(Protocol):
    """Something that is fed with blocks."""

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (channels, frames)."""

    def finish(self) -> None:
        """There is no more."""


Branch: TypeAlias = Callable[[Iterator[Block], Callable[[], bool]], None]
"""Something that reads the blocks of a pass for itself, in a thread of its own and as far as it wants: it is given an
iterator over them, and a check whether the pass is over."""


class Control:
    """The caller's progress callback and cancel check, polled in the caller's thread."""

    def __init__(self, on_progress: Callable[[float], None], is_cancelled: Callable[[], bool]) -> None:
        self._on_progress = on_progress
        self._is_cancelled = is_cancelled
        self._start, self._share = 0.0, 1.0
        self._fraction = 0.0
        self._next_report = 0.0

    def next_stage(self) -> None:
        """What comes now is a stage of several; nobody knows how many, so each takes half of what is left."""
        self._start = self._fraction
        self._share = (1 - self._start) / 2

    def progress(self, done: float) -> None:
        """Note how much of this stage is done, 0 to 1; the whole never goes back."""
        self._fraction = max(self._fraction, min(1.0, self._start + self._share * done))

    def poll(self) -> None:
        """Report the progress if it is time to.

        Raises:
            Cancelled: the caller no longer wants it.
        """
        now = time.monotonic()
        if now >= self._next_report:
            if self._is_cancelled():
                raise Cancelled("The work was cancelled.")
            self._on_progress(self._fraction)
            self._next_report = now + _PROGRESS_SECONDS

    def done(self) -> None:
        """Report the end."""
        self._on_progress(1.0)


class _Stopped(Exception):
    """Ends a thread that is no longer needed."""


class _Feed:
    """The queue of one reader, which may leave before the end."""

    def __init__(self) -> None:
        self.blocks: queue.Queue[Block | None] = queue.Queue(_QUEUE_BLOCKS)
        self.is_left = False


class _Pass:
    """The threads of one pass, and the first thing that went wrong in one of them."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._stop = threading.Event()
        self._failures: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Run something in a thread of the pass."""

        def run() -> None:
            try:
                work()
            except _Stopped:
                pass
            except BaseException as error:
                self._failures.append(error)
                self._stop.set()

        thread = started(name, run)
        self._threads.append(thread)
        return thread

    def put(self, into: "queue.Queue[Block | None]", block: Block | None) -> None:
        """From a thread of the pass."""
        while True:
            self.check()
            try:
                return into.put(block, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def get(self, out_of: "queue.Queue[Block | None]") -> Block | None:
        """From a thread of the pass."""
        while True:
            self.check()
            try:
                return out_of.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

    @property
    def is_over(self) -> bool:
        """Whether its threads are to end."""
        return self._stop.is_set()

    def check(self) -> None:
        """End the calling thread of the pass if the pass is over."""
        if self.is_over:
            raise _Stopped

    def poll(self) -> None:
        """In the caller's thread: what the threads met, the caller's wish, and the progress."""
        if self._failures:
            raise self._failures[0]
        self._control.poll()

    @contextmanager
    def joined(self) -> Iterator[None]:
        """However it ends, no thread outlives the pass."""
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


def run_pass(
    blocks: Iterable[Block],
    measuring: Sequence[Consumer],
    encoding: Sequence[Consumer],
    control: Control,
    branches: Sequence[Branch] = (),
) -> int:
    """Feed every consumer with every block, and finish them.

    Args:
        blocks: iterated in a thread of its own; not to its end where there are only branches, and all have left.
        measuring: fed in the calling thread, one after another.
        encoding: each fed in a thread of its own.
        control: polled all the time.
        branches: each run in a thread of its own.

    Returns:
        Frames that went by.

    Raises:
        Cancelled: by the caller.
        Exception: whatever a consumer, a branch or the iteration raised, first come; nothing runs on after it.
    """
    current = _Pass(control)
    decoded: queue.Queue[Block | None] = queue.Queue(_QUEUE_BLOCKS)
    readers = [partial(_consume, consumer=consumer) for consumer in encoding]
    readers += [partial(_run_branch, branch=branch) for branch in branches]
    feeds = [_Feed() for _ in readers]
    frames = 0
    with current.joined():
        current.start("decode", partial(_produce, current, blocks, decoded))
        threads = [
            current.start("encode", partial(reader, current, feed)) for feed, reader in zip(feeds, readers, strict=True)
        ]
        while (block := _next(current, decoded)) is not None:
            frames += block.samples.shape[1]
            for feed in feeds:
                _hand_over(current, feed, block)
            for consumer in measuring:
                consumer.add(block.samples)
            control.progress(block.position)
            if feeds and not measuring and all(feed.is_left for feed in feeds):
                break
        for feed in feeds:
            _hand_over(current, feed, None)
        for consumer in measuring:
            consumer.finish()
        for thread in threads:
            while thread.is_alive():
                current.poll()
                thread.join(_POLL_SECONDS)
        current.poll()
    return frames


def _produce(current: _Pass, blocks: Iterable[Block], into: "queue.Queue[Block | None]") -> None:
    for block in blocks:
        current.put(into, block)
    current.put(into, None)


def _consume(current: _Pass, feed: _Feed, consumer: Consumer) -> None:
    while (block := current.get(feed.blocks)) is not None:
        for start in range(0, block.samples.shape[1], _SLICE_FRAMES):
            current.check()
            consumer.add(block.samples[:, start : start + _SLICE_FRAMES])
    consumer.finish()


def _run_branch(current: _Pass, feed: _Feed, branch: Branch) -> None:
    branch(iter(partial(current.get, feed.blocks), None), lambda: current.is_over)
    feed.is_left = True


def _next(current: _Pass, out_of: "queue.Queue[Block | None]") -> Block | None:
    while True:
        current.poll()
        try:
            return out_of.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue


def _hand_over(current: _Pass, feed: _Feed, block: Block | None) -> None:
    while not feed.is_left:
        current.poll()
        try:
            feed.blocks.put(block, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return
