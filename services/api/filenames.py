"""File names: what is kept of those that clients send, and what downloads are called."""

import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

from werkzeug.http import dump_options_header

# Longer ones do not fit into a directory entry of common file systems (255 bytes), once an artifact's name is added.
_MAX_BYTES = 160
_UNNAMED = "audio"
# RFC 5987 attr-char, without letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


def cleaned(filename: str | None) -> str | None:
    """The last part of a client's file name, without control and format characters; None when nothing is left.

    Format characters go too: some of them turn the direction of text, so that a name reads as another.
    """
    if filename is None:
        return None
    last = filename.replace("\\", "/").rpartition("/")[2]
    normal = unicodedata.normalize("NFC", last)
    name = "".join(character for character in normal if unicodedata.category(character)[0] != "C").strip()
    return _shortened(name) if name.strip(". ") else None


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > 16:
        suffix = ""
    room = _MAX_BYTES - len(suffix.encode())
    return name.removesuffix(suffix).encode()[:room].decode(errors="ignore").rstrip() + suffix


def content_disposition(input_filename: str | None, artifact: str) -> str:
    """RFC 6266: save as the input's stem and the artifact's name, as in `interview-transcode.opus`."""
    stem = PurePosixPath(cleaned(input_filename) or _UNNAMED).stem
    return attachment(f"{stem}-{artifact}")


def attachment(name: str) -> str:
    """RFC 6266: save as this name, which may hold anything."""
    name = cleaned(name) or _UNNAMED
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    options = {"filename": plain}
    if plain != name:
        options["filename*"] = f"UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return dump_options_header("attachment", options)
