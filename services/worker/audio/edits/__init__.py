"""Edits: the audio changed on its way from the decoder, block by block, whatever its length."""

from services.worker.audio.edits.chain import Chain
from services.worker.audio.edits.hold import Hold, Holds

__all__ = ["Chain", "Hold", "Holds"]
