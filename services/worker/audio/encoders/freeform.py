"""Tags of one's own in an M4A file: iTunes' freeform atoms, which FFmpeg reads and does not write."""

import struct
from collections.abc import Mapping

from services.worker.audio.encoders.boxes import Box

_DOMAIN = b"com.apple.iTunes"
_UTF8 = 1


def add_freeform_tags(movie: Box, tags: Mapping[str, str]) -> None:
    """Put tags behind those that an index has."""
    movie[b"udta"][b"meta"][b"ilst"].boxes += (_freeform(name, text) for name, text in tags.items())


def _freeform(name: str, text: str) -> Box:
    parts = (
        Box(b"mean", bytes(4) + _DOMAIN),
        Box(b"name", bytes(4) + name.encode()),
        Box(b"data", struct.pack(">II", _UTF8, 0) + text.encode()),
    )
    return Box(b"----", b"".join(map(bytes, parts)))
