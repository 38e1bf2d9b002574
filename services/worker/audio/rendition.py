"""One output file: the blocks mixed, resampled, amplified and handed to an encoder."""

from pathlib import Path

import numpy as np

from services.worker.audio.encoders import EXTENSIONS, MEDIA_TYPES, Plan, open_encoder
from services.worker.audio.layouts import Mixer
from services.worker.audio.pcm import Pcm, Resolution, Samples
from services.worker.audio.report import Artifact
from services.worker.audio.resample import Resampler


class Rendition:
    """A consumer of blocks that writes one encoded file."""

    def __init__(self, name: str, plan: Plan, source: Pcm, output_dir: Path, *, gain_db: float = 0.0) -> None:
        self.plan = plan
        self.path = output_dir / f"{name}.{EXTENSIONS[plan.format]}"
        self.artifact = Artifact(self.path.name, self.path, MEDIA_TYPES[plan.format])
        self.frames = 0
        self._gain = np.float32(10 ** (gain_db / 20))
        self._mixer = Mixer(source.channels, plan.channels)
        self._resampler = Resampler(source.sample_rate, plan.sample_rate, len(plan.channels))
        exact = source.resolution is Resolution.INT16 or (source.resolution is Resolution.INT24 and plan.bits == 24)
        changed = gain_db != 0 or self._mixer.changes_samples or self._resampler.changes_samples
        self._encoder = open_encoder(self.path, plan, dither=changed or not exact)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (source channels, frames)."""
        samples = self._mixer.mix(samples)
        if self._gain != 1:
            samples = samples * self._gain
        self._write(self._resampler.resample(samples))

    def finish(self) -> None:
        """Encode the rest and close the file."""
        self._write(self._resampler.flush())
        self._encoder.finish()

    def abort(self) -> None:
        """Close the file as it is and remove it."""
        self._encoder.abort()
        self.path.unlink(missing_ok=True)

    @property
    def seconds(self) -> float:
        """Length of what was written."""
        return self.frames / self.plan.sample_rate

    def _write(self, samples: Samples) -> None:
        if samples.shape[1]:
            self.frames += samples.shape[1]
            self._encoder.write(samples)
