"""The cover picture of an input: carried as it is, and never decoded."""

import io
import struct
from dataclasses import dataclass
from typing import Literal

from PIL import Image

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_FRONT_COVER = 3


@dataclass(frozen=True)
class Cover:
    """A JPEG or PNG picture.

    Attributes:
        data: the file.
        format: "jpeg" or "png".
        width, height: pixels, by its own header.
    """

    data: bytes
    format: Literal["jpeg", "png"]
    width: int
    height: int

    @property
    def extension(self) -> str:
        """Of a file's name."""
        return "jpg" if self.format == "jpeg" else "png"

    @property
    def media_type(self) -> str:
        """As in `image/png`."""
        return f"image/{self.format}"


def read_cover(data: bytes) -> Cover | None:
    """The picture in some bytes; None where they are no JPEG or PNG whose header can be read."""
    if not data.startswith(_SIGNATURES):
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            return Cover(data, "jpeg" if image.format == "JPEG" else "png", *image.size)
    except Exception:
        # Whatever a stranger's header makes of Pillow, it is no cover.
        return None


def flac_picture(cover: Cover) -> bytes:
    """A picture metadata block (RFC 9639, 8.8), which Ogg holds in base64 as METADATA_BLOCK_PICTURE."""
    media_type = cover.media_type.encode()
    return b"".join(
        (
            struct.pack(">II", _FRONT_COVER, len(media_type)),
            media_type,
            struct.pack(">IIIII", 0, cover.width, cover.height, 24, 0),  # no description, 24 bits a pixel, no palette
            struct.pack(">I", len(cover.data)),
            cover.data,
        )
    )
