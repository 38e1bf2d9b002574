"""What can be wrong with a file or with what was asked of it, in words for the person who sent it.

Trouble of the machine (a full disk, no memory) is not here: it stays an OSError or a MemoryError, which a
caller may retry. An AudioError is never worth a retry.
"""

from typing import ClassVar


class AudioError(Exception):
    """Something that another attempt with the same input would meet again. The message is a sentence for users."""

    code: ClassVar[str] = "audio_error"


class NotAudio(AudioError):
    """The input holds no audio stream."""

    code = "not_audio"


class EmptyFile(AudioError):
    """The input has no bytes, or its audio stream has no samples."""

    code = "empty_file"


class TruncatedFile(AudioError):
    """The input ends before its own header says that it does."""

    code = "truncated_file"


class DamagedFile(AudioError):
    """The input claims to be audio that can be decoded, and is not."""

    code = "damaged_file"


class UnsupportedFormat(AudioError):
    """A container or codec that is not on the allow-list."""

    code = "unsupported_format"


class ExternalReference(AudioError):
    """The input wants another file or an address to be opened."""

    code = "external_reference"


class LimitExceeded(AudioError):
    """The input is larger than this installation lets an input be; each kind of limit has its own subclass."""

    code = "limit_exceeded"


class TooLong(LimitExceeded):
    """More samples (seconds x rate x channels) than allowed."""

    code = "too_long"


class TooManyChannels(LimitExceeded):
    """More channels than allowed."""

    code = "too_many_channels"


class SampleRateTooHigh(LimitExceeded):
    """A higher sample rate than allowed."""

    code = "sample_rate_too_high"


class TooManyStreams(LimitExceeded):
    """More streams in the container than allowed."""

    code = "too_many_streams"


class EditImpossible(AudioError):
    """What an edit or a split asks for cannot be done to this audio; each way has its own subclass."""

    code = "edit_impossible"


class NothingLeft(EditImpossible):
    """The edits leave no sample of the audio."""

    code = "nothing_left"


class SampleRateTooLow(EditImpossible):
    """A filter needs a higher sample rate."""

    code = "sample_rate_too_low"


class TooManyParts(EditImpossible):
    """A split would write more parts than it may."""

    code = "too_many_parts"


class TooMuchMetadata(LimitExceeded):
    """More tags, pictures and index than allowed."""

    code = "too_much_metadata"


class Cancelled(AudioError):
    """The caller's `is_cancelled` said so."""

    code = "cancelled"
