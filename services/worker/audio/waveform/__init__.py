"""Waveforms: audiowaveform's data for players, and pictures."""

from services.worker.audio.waveform.data import WaveformWriter, write_json
from services.worker.audio.waveform.outline import Outline
from services.worker.audio.waveform.picture import write_png, write_svg

__all__ = ["Outline", "WaveformWriter", "write_json", "write_png", "write_svg"]
