"""Edits: the audio changed on its way from the decoder, block by block, whatever its length."""

from services.worker.audio.edits.chain import Chain

__all__ = ["Chain"]
