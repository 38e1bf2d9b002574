"""Tags of one's own in an M4A file: iTunes' freeform atoms, which FFmpeg reads and does not write.

FFmpeg is given a placeholder of the same size, an atom that it does write; the file is whole either way, and its
index need not be moved.
"""

import struct
from collections.abc import Mapping
from pathlib import Path

from shared.schema.operations import AudioFormat

M4A_FORMATS = frozenset({AudioFormat.AAC, AudioFormat.ALAC})
_PLACEHOLDER_TAG, _PLACEHOLDER_ATOM = "synopsis", b"ldes"
_DOMAIN = b"com.apple.iTunes"
_UTF8 = 1
_HEAD_BYTES = 1 << 26


class FreeformAtoms:
    """Freeform atoms, and what stands in their place until the file is written."""

    def __init__(self, tags: Mapping[str, str]) -> None:
        self._atoms = b"".join(_freeform(name, text) for name, text in tags.items())

    @classmethod
    def of(cls, audio_format: AudioFormat, loudness: Mapping[str, str]) -> "FreeformAtoms":
        """Those of a file: of M4A the loudness tags, of other formats none."""
        return cls(loudness if audio_format in M4A_FORMATS else {})

    @property
    def placeholder(self) -> dict[str, str]:
        """The tag to have FFmpeg write."""
        return {_PLACEHOLDER_TAG: self._filling()} if self._atoms else {}

    def write(self, path: Path) -> None:
        """Put the atoms in the placeholder's place, in a file whose index stands in front."""
        if not self._atoms:
            return
        placeholder = _atom(_PLACEHOLDER_ATOM, _data(self._filling()))
        with path.open("r+b") as file:
            place = file.read(_HEAD_BYTES).index(placeholder)
            file.seek(place)
            file.write(self._atoms)

    def _filling(self) -> str:
        return "-" * (len(self._atoms) - len(_atom(_PLACEHOLDER_ATOM, _data(""))))


def _freeform(name: str, text: str) -> bytes:
    parts = (_atom(b"mean", bytes(4) + _DOMAIN), _atom(b"name", bytes(4) + name.encode()), _data(text))
    return _atom(b"----", b"".join(parts))


def _data(text: str) -> bytes:
    return _atom(b"data", struct.pack(">II", _UTF8, 0) + text.encode())


def _atom(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content
