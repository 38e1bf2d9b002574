"""What each operation answers, as it stands in a job's `results` under the operation's name."""

from shared.schema.results.base import Result
from shared.schema.results.encodings import AlbumTrack, EncodedResult, NormalizeResult, TranscodeResult
from shared.schema.results.measurements import (
    MOST_CHAPTERS,
    MOST_SILENCES,
    AcxReport,
    AcxResult,
    AcxRule,
    AudioStream,
    Chapter,
    CoverArt,
    LoudnessResult,
    OtherStream,
    ProbeResult,
    ReplayGain,
    SilenceResult,
    SilentInterval,
)
from shared.schema.results.pictures import SpectrogramResult, WaveformResult
from shared.schema.results.splitting import Part, SplitResult
from shared.schema.results.union import AnyResult

__all__ = [
    "MOST_CHAPTERS",
    "MOST_SILENCES",
    "AcxReport",
    "AcxResult",
    "AcxRule",
    "AlbumTrack",
    "AnyResult",
    "AudioStream",
    "Chapter",
    "CoverArt",
    "EncodedResult",
    "LoudnessResult",
    "NormalizeResult",
    "OtherStream",
    "Part",
    "ProbeResult",
    "ReplayGain",
    "Result",
    "SilenceResult",
    "SilentInterval",
    "SpectrogramResult",
    "SplitResult",
    "TranscodeResult",
    "WaveformResult",
]
