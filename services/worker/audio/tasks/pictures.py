"""Operations that draw the audio."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.worker.audio.pipeline import Consumer
from services.worker.audio.report import Artifact
from services.worker.audio.spectrogram import SpectrogramWriter
from services.worker.audio.tasks.base import Task, Workspace
from services.worker.audio.waveform import Outline, WaveformWriter, write_json, write_png, write_svg
from shared.schema.operations import Spectrogram, Waveform, WaveformFormat, WaveformPicture
from shared.schema.results import AnyResult, SpectrogramResult, WaveformResult

_USUAL_SAMPLES_PER_PIXEL = 256
_MEDIA_TYPES = {
    WaveformFormat.DAT: "application/octet-stream",
    WaveformFormat.JSON: "application/json",
    WaveformFormat.PNG: "image/png",
    WaveformFormat.SVG: "image/svg+xml",
}
_PICTURES: dict[WaveformFormat, Callable[[Path, NDArray[np.float32], WaveformPicture], None]] = {
    WaveformFormat.PNG: write_png,
    WaveformFormat.SVG: write_svg,
}


class WaveformTask(Task):
    """Waveform data and pictures; JSON is made from the .dat, which is scratch where it was not asked for."""

    def __init__(self, operation: Waveform, workspace: Workspace) -> None:
        self._operation = operation
        self._sample_rate = workspace.pcm.sample_rate
        self._files = {form: workspace.output_dir / f"{operation.name}.{form}" for form in operation.formats}
        self._dat = self._files.get(WaveformFormat.DAT, workspace.scratch / f"{operation.name}.dat")
        self._samples_per_pixel = _samples_per_pixel(operation, self._sample_rate)
        self._writer = WaveformWriter(
            self._dat,
            workspace.pcm,
            self._samples_per_pixel,
            operation.bits,
            split_channels=operation.split_channels,
            version=operation.version,
        )
        self._outline = (
            Outline(operation.picture.width, len(workspace.pcm.channels), split_channels=operation.split_channels)
            if _PICTURES.keys() & self._files
            else None
        )

    def measuring(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._writer,) if self._outline is None else (self._writer, self._outline)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        if path := self._files.get(WaveformFormat.JSON):
            write_json(self._dat, path)
        if self._outline is not None:
            extremes = self._outline.extremes()
            for form in _PICTURES.keys() & self._files:
                _PICTURES[form](self._files[form], extremes, self._operation.picture)
        return WaveformResult(
            sample_rate=self._sample_rate,
            samples_per_pixel=self._samples_per_pixel,
            bits=self._operation.bits,
            channels=self._writer.channels,
            length=self._writer.length,
            artifacts=tuple(artifact.name for artifact in self.artifacts()),
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return [Artifact(path.name, path, _MEDIA_TYPES[form]) for form, path in self._files.items()]

    def abort(self) -> None:
        """See Task."""
        self._writer.abort()
        for path in (self._dat, *self._files.values()):
            path.unlink(missing_ok=True)


def _samples_per_pixel(operation: Waveform, sample_rate: int) -> int:
    if operation.pixels_per_second is not None:
        return max(2, sample_rate // operation.pixels_per_second)
    return operation.samples_per_pixel or _USUAL_SAMPLES_PER_PIXEL


class SpectrogramTask(Task):
    """A picture of the spectrum over time."""

    def __init__(self, operation: Spectrogram, workspace: Workspace) -> None:
        self._operation = operation
        self._sample_rate = workspace.pcm.sample_rate
        self._path = workspace.output_dir / f"{operation.name}.png"
        self._writer = SpectrogramWriter(self._path, workspace.pcm, operation)

    def measuring(self) -> Sequence[Consumer]:
        """See Task."""
        return (self._writer,)

    def result(self, frames: int) -> AnyResult:
        """See Task."""
        operation, margins = self._operation, self._writer.margins
        return SpectrogramResult(
            width=operation.width,
            height=operation.height,
            picture_width=margins.left + operation.width + margins.right,
            picture_height=margins.top + operation.height + margins.bottom,
            left=margins.left,
            top=margins.top,
            frequency_scale=operation.frequency_scale.value,
            min_hz=self._writer.axis.min_hz,
            max_hz=self._writer.axis.max_hz,
            seconds_per_pixel=frames / self._sample_rate / operation.width,
            range_db=operation.range_db,
            colors=operation.colors,
            artifact=self._path.name,
        )

    def artifacts(self) -> Sequence[Artifact]:
        """See Task."""
        return (Artifact(self._path.name, self._path, "image/png"),)

    def abort(self) -> None:
        """See Task."""
        self._path.unlink(missing_ok=True)
