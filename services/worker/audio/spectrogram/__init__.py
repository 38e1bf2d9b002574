"""A picture of the spectrum over time, drawn while the audio comes, in memory that its length does not change."""

from services.worker.audio.spectrogram.writer import SpectrogramWriter

__all__ = ["SpectrogramWriter"]
