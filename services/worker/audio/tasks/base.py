"""What every task of a run has in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from services.worker.audio.chapters import carried_chapters
from services.worker.audio.cover import Cover, read_cover
from services.worker.audio.edits import Chain, Holds
from services.worker.audio.encoders import Labels
from services.worker.audio.layouts import Mixer
from services.worker.audio.loudness import LoudnessMeter, Measurement, Series
from services.worker.audio.pcm import Block, Pcm, Samples
from services.worker.audio.pipeline import Consumer, Control
from services.worker.audio.report import Artifact
from services.worker.audio.source import Source
from services.worker.audio.spool import Spool
from services.worker.audio.tags import carried_tags
from shared.schema.operations import Encoding, WholeEncoding
from shared.schema.results import AnyResult, Chapter


class Workspace:
    """What the tasks share that listen to the same audio: an input, under the same edits. A consumer of that audio.

    Attributes:
        source: the input.
        chain: the edits; None where there are none.
        pcm: of the audio as edited.
        holds: for what has to wait.
        output_dir, scratch: where files go.
        meters: one for each layout that the audio is measured in.
        frames: length of the audio as edited, as far as it went by.
    """

    def __init__(self, source: Source, chain: Chain | None, holds: Holds, output_dir: Path, scratch: Path) -> None:
        self.source = source
        self.chain = chain
        self.holds = holds
        self.pcm = source.pcm if chain is None else chain.pcm
        self.output_dir = output_dir
        self.scratch = scratch
        self.meters: dict[tuple[tuple[str, ...], bool], MixedMeter] = {}
        self.frames = 0
        self._keeps_times = chain is None or chain.keeps_times
        self._spool: Spool | None = None

    def keep(self) -> None:
        """Have the audio kept on disk, for another pass over it."""
        if self._spool is None:
            self._spool = Spool(self.scratch / "spool", self.pcm)

    @property
    def is_kept(self) -> bool:
        """Whether somebody needs another pass."""
        return self._spool is not None

    def replayed(self) -> Iterator[Block]:
        """The audio once more."""
        if self._spool is None:
            raise RuntimeError("the audio was not kept")
        return self._spool.blocks()

    def add(self, samples: Samples) -> None:
        """Take in a block."""
        self.frames += samples.shape[1]
        if self._spool is not None:
            self._spool.add(samples)

    def finish(self) -> None:
        """End of the audio."""
        if self._spool is not None:
            self._spool.finish()

    def close(self) -> None:
        """End of the run, in any state."""
        if self._spool is not None:
            self._spool.abort()

    def labels(self, encoding: Encoding) -> Labels:
        """What an output says of itself: what of the input's labels is wanted and still true, and what was asked."""
        chapters: tuple[Chapter, ...] = ()
        if isinstance(encoding, WholeEncoding) and encoding.keep_chapters and self._keeps_times:
            chapters = carried_chapters(self.source)
        cover = self.cover if encoding.keep_cover else None
        return Labels(carried_tags(self.source, encoding), cover, chapters=chapters)

    @cached_property
    def cover(self) -> Cover | None:
        """The input's cover picture."""
        picture = self.source.attached_picture()
        return None if picture is None else read_cover(picture)

    def meter(self, channels: tuple[str, ...], *, dual_mono: bool = False) -> "MixedMeter":
        """The meter of the audio mixed to a layout; the same one for all who ask for that layout."""
        key = (channels, dual_mono and len(channels) == 1)
        if key not in self.meters:
            self.meters[key] = MixedMeter(self.pcm, channels, dual_mono=dual_mono)
        return self.meters[key]


class MixedMeter:
    """A consumer that measures the loudness of audio as mixed to a layout.

    Attributes:
        loudness: the meter behind the mixer.
    """

    def __init__(self, pcm: Pcm, channels: tuple[str, ...], *, dual_mono: bool) -> None:
        self._mixer = Mixer(pcm.channels, channels)
        self.loudness = LoudnessMeter(Pcm(pcm.sample_rate, channels, pcm.resolution), dual_mono=dual_mono)

    def add(self, samples: Samples) -> None:
        """Take in a block."""
        self.loudness.add(self._mixer.mix(samples))

    def finish(self) -> None:
        """End of the audio."""
        self.loudness.finish()

    def measurement(self) -> Measurement:
        """The measurement, once the pass has ended."""
        return self.loudness.measurement()

    def series(self) -> Series:
        """Loudness over time, once the pass has ended."""
        return self.loudness.series()


class Task(ABC):
    """An operation under way; what it does not override, it does not need."""

    def measuring(self) -> Sequence[Consumer]:
        """Consumers of the first pass that are quick enough for the thread between decoder and encoders."""
        return ()

    def encoding(self) -> Sequence[Consumer]:
        """Consumers of the first pass that want a thread of their own."""
        return ()

    def next_pass(self, control: Control) -> Sequence[tuple[Workspace, Consumer]]:
        """Consumers of another pass, each over a workspace's spool.

        Asked for whenever a pass has ended, until nobody has any. The workspaces were asked to keep their audio before.
        """
        return ()

    @abstractmethod
    def result(self, frames: int) -> AnyResult:
        """The result, after all passes, over `frames` of the audio as edited."""

    def artifacts(self) -> Sequence[Artifact]:
        """The files that were written."""
        return ()

    def abort(self) -> None:  # noqa: B027 - one that began nothing has nothing to remove
        """Close and remove what was begun. Comes instead of result, in any state."""


def rounded(value: float | None) -> float | None:
    """A level as results give it: to a hundredth of a decibel."""
    return None if value is None else round(value, 2)
