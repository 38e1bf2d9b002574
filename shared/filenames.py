"""File names: what is kept of those that others give, and what downloads are called."""

import re
import unicodedata
from pathlib import PurePosixPath
from urllib.parse import quote

# Longer ones do not fit into a directory entry of common file systems (255 bytes), once an artifact's name is added.
_MAX_BYTES = 160
UNNAMED = "audio"
# RFC 8187 attr-char, without letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"
# RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")


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


def content_disposition(input_filename: str | None, artifact: str) -> str:
    """RFC 6266: save as the input's stem and the artifact's name, as in `interview-transcode.opus`."""
    return attachment(artifact_filename(input_filename, artifact))


def attachment(name: str) -> str:
    """RFC 6266: save as this name, which may hold anything."""
    name = cleaned(name) or UNNAMED
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    if _TOKEN.fullmatch(plain):
        header = f"attachment; filename={plain}"
    else:
        escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
        header = f'attachment; filename="{escaped}"'
    # RFC 8187, for who reads it; the plain one is for who does not.
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_ATTR_CHARS)}"


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    suffix = PurePosixPath(name).suffix
    if len(suffix.encode()) > 16:
        suffix = ""
    room = _MAX_BYTES - len(suffix.encode())
    return name.removesuffix(suffix).encode()[:room].decode(errors="ignore").rstrip() + suffix
