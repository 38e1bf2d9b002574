"""What a file says of itself: cleaned of what could do harm, and how much of it goes into what is made from it.

A list of tags goes over, and not all of them: what is not on it may be where a recording was made, or on what phone.
"""

import unicodedata
from collections.abc import Mapping

from services.worker.audio.source import Source
from shared.schema.operations import Encoding, Tags

# Tags are the uploader's to choose: enough for any honest file, too little to fill a database.
_MOST_TAGS = 100
_LONGEST = 2000


def all_tags(source: Source) -> dict[str, str]:
    """What the container says, or else the audio stream (Ogg): the first hundred, each cut to 2000 characters."""
    metadata = source.container.metadata or source.stream.metadata
    return {clean(key): clean(value) for key, value in list(metadata.items())[:_MOST_TAGS]}


def carried_tags(source: Source, encoding: Encoding) -> dict[str, str]:
    """The tags of an output, by FFmpeg's names: the input's if they are wanted, and those that were asked for."""
    found = _by_name(all_tags(source)) if encoding.keep_tags else {}
    asked = encoding.tags.model_dump(exclude_none=True)
    return {name: text for name in Tags.model_fields if (text := asked.get(name, found.get(name, "")))}


def clean(text: str) -> str:
    """Text without control characters (but line breaks) and surrogates, of a length that does no harm."""
    text = text[:_LONGEST].replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character for character in text if character == "\n" or unicodedata.category(character) not in {"Cc", "Cs"}
    )


def _by_name(tags: Mapping[str, str]) -> dict[str, str]:
    # Vorbis comments come in capitals or not, as their writer liked it.
    return {name.lower(): text for name, text in tags.items()}
