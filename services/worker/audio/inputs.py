"""The inputs of a run: its own, further ones by name, and what all of them may take together."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from services.worker.audio.decode import decode
from services.worker.audio.errors import AudioError, TooLong
from services.worker.audio.layouts import Mixer, is_same_layout
from services.worker.audio.limits import Limits
from services.worker.audio.pcm import Block, Pcm, Resolution, Samples
from services.worker.audio.resample import Resampler
from services.worker.audio.source import Source, open_source


@dataclass(frozen=True)
class Extra:
    """A further input.

    Attributes:
        path: the file.
        source_name: what its owner calls it; the extension helps where the content leaves a format in doubt.
    """

    path: Path
    source_name: str | None = None


class _Allowance:
    """Samples that a run may decode in all, whichever of its inputs and however often they are from."""

    def __init__(self, samples: int) -> None:
        self._left = samples
        self._lock = threading.Lock()

    def take(self, samples: Samples) -> Samples:
        """The same block, counted.

        Raises:
            TooLong: that was too much.
        """
        with self._lock:
            self._left -= samples.size
            if self._left < 0:
                raise TooLong("The audio of all inputs together is longer than its sample rate and channels allow.")
        return samples


class Inputs:
    """Opens further inputs where they are needed; each is good audio by itself, or the run fails before it begins."""

    def __init__(self, extras: Mapping[str, Extra], limits: Limits) -> None:
        self._extras = extras
        self._limits = limits
        self._allowance = _Allowance(limits.decoded_samples)
        self._pcm: dict[str, Pcm] = {}

    def check(self, names: frozenset[str]) -> None:
        """Look at those that the run needs.

        Raises:
            ValueError: one of them was not given.
            AudioError: one of them is no input; the message says which.
            OSError: it cannot be read.
        """
        if missing := sorted(names - self._extras.keys()):
            raise ValueError(f"the operations name inputs that were not given: {', '.join(missing)}")
        for name in sorted(names):
            with self.opened(name) as source:
                self._pcm[name] = source.pcm

    @contextmanager
    def opened(self, name: str) -> Iterator[Source]:
        """Open it for one pass.

        Raises:
            AudioError, OSError: see check.
        """
        extra = self._extras[name]
        with ExitStack() as stack:
            with _naming(name):
                source = stack.enter_context(open_source(extra.path, self._limits, extra.source_name))
            yield source

    def blocks(self, source: Source, name: str | None = None) -> Iterator[Block]:
        """Decode an open input, counted; with a name, a further one.

        Raises:
            AudioError: see decode; or all inputs together are too long.
        """
        decoded = decode(source, self._limits) if name is None else self._decoded(name, source)
        for block in decoded:
            # Counted where they are made, which is not in this thread.
            yield Block(partial(self._counted, block), block.position)

    def as_part_of(self, name: str, pcm: Pcm) -> Iterator[Samples]:
        """Decode it at the sample rate and in the layout of something that it is to be a part of, counted as such."""
        with self.opened(name) as source:
            mixer = Mixer(source.pcm.channels, pcm.channels)
            resampler = Resampler(source.pcm.sample_rate, pcm.sample_rate, len(pcm.channels))
            for block in self._decoded(name, source):
                converted = resampler.resample(mixer.mix(block.samples))
                # The resampler keeps the first samples to itself, and where there is no more to come may have none.
                if converted.shape[1]:
                    yield self._allowance.take(converted)
            if (rest := resampler.flush()).shape[1]:
                yield self._allowance.take(rest)

    def _counted(self, block: Block) -> Samples:
        return self._allowance.take(block.samples)

    def _decoded(self, name: str, source: Source) -> Iterator[Block]:
        with _naming(name):
            yield from decode(source, self._limits)

    def fits_exactly(self, name: str, pcm: Pcm) -> bool:
        """Whether its samples, put beside those of some audio, are still the integers that they were."""
        own = self._pcm[name]
        return (
            own.sample_rate == pcm.sample_rate
            and is_same_layout(own.channels, pcm.channels)
            and own.resolution in {Resolution.INT16, pcm.resolution}
        )


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """An error says which input it is about."""
    try:
        yield
    except AudioError as error:
        error.args = (f"Input {name}: {error}",)
        raise
