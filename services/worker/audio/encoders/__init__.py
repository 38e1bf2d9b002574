"""Encoders: one interface, one module for each backend; which serves a format was measured.

MP3 goes to lameenc, because the LAME in PyAV's wheel takes three times as long; the rest to FFmpeg's libraries.
"""

from pathlib import Path

from services.worker.audio.encoders.base import Encoder
from services.worker.audio.encoders.libav import LibavEncoder
from services.worker.audio.encoders.m4a import M4aEncoder
from services.worker.audio.encoders.mp3 import Mp3Encoder
from services.worker.audio.encoders.plan import EXTENSIONS, M4A_FORMATS, MEDIA_TYPES, Plan, plan_encoding
from services.worker.audio.encoders.tagging import Labels, loudness_tags
from shared.schema.operations import AudioFormat

__all__ = ["EXTENSIONS", "MEDIA_TYPES", "Encoder", "Labels", "Plan", "loudness_tags", "open_encoder", "plan_encoding"]


def open_encoder(path: Path, plan: Plan, labels: Labels, *, dither: bool) -> Encoder:
    """The encoder for a plan. `dither`: the samples have more bits than the plan's integers hold.

    Raises:
        OSError: the file cannot be created.
    """
    if plan.format is AudioFormat.MP3:
        return Mp3Encoder(path, plan, labels)
    if plan.format in M4A_FORMATS:
        return M4aEncoder(path, plan, labels, dither=dither)
    return LibavEncoder(path, plan, labels, dither=dither)
