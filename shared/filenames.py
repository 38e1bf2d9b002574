"""File names that others give: what is kept of them."""

import unicodedata
from pathlib import PurePosixPath

# Longer ones do not fit into a directory entry of common file systems (255 bytes), once an artifact's name is added.
_MAX_BYTES = 160
UNNAMED = "audio"


def cleaned(filename: str | None) -> str | None:
    """The last part of a stranger's file name, without control and format characters; None when nothing is left.

    Format characters go too: some of them turn the direction of text, so that a name reads as another.
    """
    if filename is None:
        return None
    last = filename.replace("\\", "/").rpartition("/")[2]
    normal = unicodedata.normalize("NFC", last)
    name = "".join(character for character in normal if unicodedata.category(character)[0] != "C").strip()
    return _shortened(name) if name.strip(". ") else None


def artifact_filename(input_filename: str | None, artifact: str) -> str:
    """What an artifact is called away from its job: the input's stem and its name, as `talk-transcode.opus`."""
    stem = PurePosixPath(cleaned(input_filename) or UNNAMED).stem
    return f"{stem}-{artifact}"


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > 16:
        suffix = ""
    room = _MAX_BYTES - len(suffix.encode())
    return name.removesuffix(suffix).encode()[:room].decode(errors="ignore").rstrip() + suffix
