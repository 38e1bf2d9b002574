"""Boxes, of which an MP4 file is made (ISO/IEC 14496-12, 4.2)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Self

_HEAD = struct.Struct(">I4s")
_LARGE_SIZE = struct.Struct(">Q")
# Boxes that hold boxes, on the way to what is said of samples and to the tags, and what they hold before them.
_OWN_BYTES = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"udta": 0, b"meta": 4, b"ilst": 0}


@dataclass
class Box:
    """A box in memory.

    Attributes:
        kind: four letters.
        content: its own bytes.
        boxes: what it holds behind them.
    """

    kind: bytes
    content: bytes = b""
    boxes: list["Box"] = field(default_factory=list)

    @classmethod
    def parse(cls, kind: bytes, content: bytes) -> Self:
        """A box of a kind, and those in it."""
        place = _OWN_BYTES.get(kind, len(content))
        box = cls(kind, content[:place])
        while place < len(content):
            size, inner = _HEAD.unpack_from(content, place)
            box.boxes.append(cls.parse(inner, content[place + _HEAD.size : place + size]))
            place += size
        return box

    @property
    def size(self) -> int:
        """Bytes, with the head."""
        return _HEAD.size + len(self.content) + sum(box.size for box in self.boxes)

    def __getitem__(self, kind: bytes) -> "Box":
        """The first box of a kind in this one.

        Raises:
            KeyError: there is none.
        """
        for box in self.boxes:
            if box.kind == kind:
                return box
        raise KeyError(kind)

    def parts(self) -> Iterator[bytes]:
        """Its bytes, piece by piece."""
        yield _HEAD.pack(self.size, self.kind)
        yield self.content
        for box in self.boxes:
            yield from box.parts()

    def __bytes__(self) -> bytes:
        return b"".join(self.parts())


class Place(NamedTuple):
    """Where a box stands in a file: its first byte, the first behind its head, and the first behind it."""

    start: int
    content: int
    end: int


def places(file: BinaryIO) -> dict[bytes, Place]:
    """The outermost boxes of a file; of several of a kind, the last."""
    end = file.seek(0, 2)
    found, place = {}, 0
    while place < end:
        file.seek(place)
        size, kind = _HEAD.unpack(file.read(_HEAD.size))
        content = place + _HEAD.size
        if size == 1:
            (size,) = _LARGE_SIZE.unpack(file.read(_LARGE_SIZE.size))
            content += _LARGE_SIZE.size
        found[kind] = Place(place, content, place + size)
        place += size
    return found


def full_box(*numbers: int) -> bytes:
    """What a box holds that begins with a version and flags, both zero: these, and numbers of 32 bits."""
    return bytes(4) + packed(*numbers)


def packed(*numbers: int, width: int = 4) -> bytes:
    """Numbers of some bytes each."""
    return b"".join(number.to_bytes(width, "big") for number in numbers)


def numbers(content: bytes, width: int = 4) -> list[int]:
    """The numbers in what `packed` makes."""
    return [int.from_bytes(content[place : place + width], "big") for place in range(0, len(content), width)]
