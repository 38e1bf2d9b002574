"""What downloads are called."""

from urllib.parse import quote

from werkzeug.http import dump_options_header

from shared.filenames import UNNAMED, artifact_filename, cleaned

# RFC 5987 attr-char, without letters and digits.
_ATTR_CHARS = "!#$&+-.^_`|~"


def content_disposition(input_filename: str | None, artifact: str) -> str:
    """RFC 6266: save as the input's stem and the artifact's name, as in `interview-transcode.opus`."""
    return attachment(artifact_filename(input_filename, artifact))


def attachment(name: str) -> str:
    """RFC 6266: save as this name, which may hold anything."""
    name = cleaned(name) or UNNAMED
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    options = {"filename": plain}
    if plain != name:
        options["filename*"] = f"UTF-8''{quote(name, safe=_ATTR_CHARS)}"
    return dump_options_header("attachment", options)
