"""What every task of a run has in common."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from services.worker.audio.cover import Cover, read_cover
from services.worker.audio.encoders import Labels
from services.worker.audio.layouts import Mixer
from services.worker.audio.loudness import LoudnessMeter, Measurement
from services.worker.audio.pcm import Pcm, Samples
from services.worker.audio.pipeline import Consumer, Control
from services.worker.audio.report import Artifact
from services.worker.audio.source import Source
from services.worker.audio.tags import carried_tags
from shared.schema.operations import Encoding
from shared.schema.results import AnyResult


class Workspace:
    """What the tasks of one run share: the source, where files go, and one meter for each channel layout."""

    def __init__(self, source: Source, output_dir: Path, scratch: Path) -> None:
        self.source = source
        self.pcm = source.pcm
        self.output_dir = output_dir
        self.scratch = scratch
        self.meters: dict[tuple[str, ...], MixedMeter] = {}

    def labels(self, encoding: Encoding) -> Labels:
        """What an output says of itself: the input's tags and cover as far as they are wanted, and what was asked."""
        return Labels(carried_tags(self.source, encoding), self.cover if encoding.keep_cover else None)

    @cached_property
    def cover(self) -> Cover | None:
        """The input's cover picture."""
        picture = self.source.attached_picture()
        return None if picture is None else read_cover(picture)

    def meter(self, channels: tuple[str, ...]) -> "MixedMeter":
        """The meter of the source's audio mixed to a layout; the same one for all who ask for that layout."""
        if channels not in self.meters:
            self.meters[channels] = MixedMeter(self.pcm, channels)
        return self.meters[channels]


class MixedMeter:
    """A consumer that measures the loudness of the source as mixed to a layout."""

    def __init__(self, pcm: Pcm, channels: tuple[str, ...]) -> None:
        self._mixer = Mixer(pcm.channels, channels)
        self._meter = LoudnessMeter(Pcm(pcm.sample_rate, channels, pcm.resolution))

    def add(self, samples: Samples) -> None:
        """Take in a block."""
        self._meter.add(self._mixer.mix(samples))

    def finish(self) -> None:
        """End of the audio."""
        self._meter.finish()

    def measurement(self) -> Measurement:
        """The measurement, once the pass has ended."""
        return self._meter.measurement()


class Task(ABC):
    """An operation under way; what it does not override, it does not need."""

    needs_more_passes = False

    def measuring(self) -> Sequence[Consumer]:
        """Consumers of the first pass that are quick enough for the thread between decoder and encoders."""
        return ()

    def encoding(self) -> Sequence[Consumer]:
        """Consumers of the first pass that want a thread of their own."""
        return ()

    def next_pass(self, control: Control) -> Sequence[Consumer]:
        """Consumers of another pass over the audio, asked for whenever one has ended, until nobody has any."""
        return ()

    @abstractmethod
    def result(self, frames: int) -> AnyResult:
        """The result, after all passes; `frames` were decoded."""

    def artifacts(self) -> Sequence[Artifact]:
        """The files that were written."""
        return ()

    def abort(self) -> None:  # noqa: B027 - one that began nothing has nothing to remove
        """Close and remove what was begun. Comes instead of result, in any state."""


def rounded(value: float | None) -> float | None:
    """A level as results give it: to a hundredth of a decibel."""
    return None if value is None else round(value, 2)
