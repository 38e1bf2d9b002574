"""Audio into one file after another, cut at the output's own samples."""

from collections import deque
from collections.abc import Callable

from services.worker.audio.edits import Hold
from services.worker.audio.encoders import Plan
from services.worker.audio.layouts import Mixer
from services.worker.audio.pcm import Pcm, Samples
from services.worker.audio.rendition import Rendition
from services.worker.audio.resample import Resampler


class PartWriter:
    """Mixes and resamples all of the audio as one, and begins another file at each cut: so nothing is heard of cuts.

    Attributes:
        renditions: the files, one for each part.
    """

    def __init__(self, source: Pcm, plan: Plan, lead: int, hold: Hold, render: Callable[[int, Pcm], Rendition]) -> None:
        """A writer.

        Args:
            source: what comes in.
            plan: what is written.
            lead: how many of the newest frames a cut may still come to lie in; they wait.
            hold: empty; where they wait.
            render: begins the file of a part, by its number from 1 on and the shape of what it will be given.
        """
        self.renditions: list[Rendition] = []
        self._lead = lead
        self._hold = hold
        self._render = render
        self._mixer = Mixer(source.channels, plan.channels)
        self._resampler = Resampler(source.sample_rate, plan.sample_rate, len(plan.channels))
        self._rates = (source.sample_rate, plan.sample_rate)
        changed = self._mixer.changes_samples or self._resampler.changes_samples
        resolution = source.resolution.once_changed if changed else source.resolution
        self._pcm = Pcm(plan.sample_rate, plan.channels, resolution)
        self._cuts: deque[int] = deque((0,))
        self._written = 0

    def cut(self, frame: int) -> None:
        """Another part begins at this frame of what comes in."""
        incoming, outgoing = self._rates
        self._cuts.append(round(frame * outgoing / incoming))

    def add(self, samples: Samples) -> None:
        """Take in a block."""
        self._hold.put(samples)
        for due in self._hold.take(self._hold.frames - self._lead):
            self._convert(due)

    def finish(self) -> None:
        """Write what is left; a part of which nothing is left by the resampling is none."""
        for due in self._hold.take(self._hold.frames):
            self._convert(due)
        self._write(self._resampler.flush())
        if self.renditions:
            self.renditions[-1].finish()

    def abort(self) -> None:
        """Close and remove the files."""
        for rendition in self.renditions:
            rendition.abort()

    def _convert(self, samples: Samples) -> None:
        self._write(self._resampler.resample(self._mixer.mix(samples)))

    def _write(self, samples: Samples) -> None:
        while self._cuts and self._cuts[0] < self._written + samples.shape[1]:
            frames = self._cuts.popleft() - self._written
            if frames:
                self._encode(samples[:, :frames])
                samples = samples[:, frames:]
            if self.renditions:
                self.renditions[-1].finish()
            self.renditions.append(self._render(len(self.renditions) + 1, self._pcm))
        if samples.shape[1]:
            self._encode(samples)

    def _encode(self, samples: Samples) -> None:
        self._written += samples.shape[1]
        self.renditions[-1].add(samples)
