"""One output file: the blocks mixed, amplified, resampled, limited and handed to an encoder."""

from pathlib import Path

import numpy as np

from services.worker.audio.encoders import EXTENSIONS, MEDIA_TYPES, Labels, Plan, open_encoder
from services.worker.audio.layouts import Mixer
from services.worker.audio.limiter import Limiter
from services.worker.audio.loudness import LoudnessMeter
from services.worker.audio.pcm import Pcm, Resolution, Samples
from services.worker.audio.report import Artifact
from services.worker.audio.resample import Resampler


class Rendition:
    """A consumer of blocks that writes one encoded file; with a limiter, it also measures what that gives."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        source: Pcm,
        output_dir: Path,
        labels: Labels,
        *,
        gain_db: float = 0.0,
        ceiling_dbtp: float | None = None,
        dual_mono: bool = False,
    ) -> None:
        self.plan = plan
        self.path = output_dir / f"{name}.{EXTENSIONS[plan.format]}"
        self.artifact = Artifact(self.path.name, self.path, MEDIA_TYPES[plan.format])
        self.frames = 0
        self._gain = np.float32(10 ** (gain_db / 20))
        self._mixer = Mixer(source.channels, plan.channels)
        self._resampler = Resampler(source.sample_rate, plan.sample_rate, len(plan.channels))
        self._limited = (
            None if ceiling_dbtp is None else _Limited(plan, source.resolution, ceiling_dbtp, dual_mono=dual_mono)
        )
        exact = source.resolution is Resolution.INT16 or (source.resolution is Resolution.INT24 and plan.bits >= 24)
        changed = gain_db != 0 or self._mixer.changes_samples or self._resampler.changes_samples
        self._encoder = open_encoder(self.path, plan, labels, dither=changed or not exact)

    def add(self, samples: Samples) -> None:
        """Take in a block, shape (source channels, frames)."""
        samples = self._mixer.mix(samples)
        if self._gain != 1:
            samples = samples * self._gain
        self._write(self._resampler.resample(samples))

    def finish(self) -> None:
        """Encode the rest and close the file."""
        self._write(self._resampler.flush())
        if self._limited is not None:
            self._encode(self._limited.flush())
        if not self.frames:
            # Of a few samples at a high rate resampling can leave none, and a file without a sample is none either.
            self._encode(np.zeros((len(self.plan.channels), 1), np.float32))
        self._encoder.finish()

    def abort(self) -> None:
        """Close the file as it is and remove it."""
        self._encoder.abort()
        self.path.unlink(missing_ok=True)

    @property
    def seconds(self) -> float:
        """Length of what was written."""
        return self.frames / self.plan.sample_rate

    @property
    def limited(self) -> LoudnessMeter | None:
        """The meter of what the limiter gave to the encoder; None without one."""
        return None if self._limited is None else self._limited.meter

    @property
    def largest_reduction_db(self) -> float:
        """By how much the limiter turned the audio down at most."""
        return 0.0 if self._limited is None else self._limited.limiter.largest_reduction_db

    def _write(self, samples: Samples) -> None:
        if self._limited is not None and samples.shape[1]:
            samples = self._limited.limit(samples)
        self._encode(samples)

    def _encode(self, samples: Samples) -> None:
        if samples.shape[1]:
            self.frames += samples.shape[1]
            self._encoder.write(samples)


class _Limited:
    """A limiter, and a meter behind it."""

    def __init__(self, plan: Plan, resolution: Resolution, ceiling_dbtp: float, *, dual_mono: bool) -> None:
        self.limiter = Limiter(plan.sample_rate, len(plan.channels), ceiling_dbtp)
        self.meter = LoudnessMeter(Pcm(plan.sample_rate, plan.channels, resolution), dual_mono=dual_mono)

    def limit(self, samples: Samples) -> Samples:
        """See Limiter."""
        return self._measured(self.limiter.limit(samples))

    def flush(self) -> Samples:
        """See Limiter."""
        rest = self._measured(self.limiter.flush())
        self.meter.finish()
        return rest

    def _measured(self, samples: Samples) -> Samples:
        if samples.shape[1]:
            self.meter.add(samples)
        return samples
