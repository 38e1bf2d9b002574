"""What a client can ask for: the operations, each with its parameters, as a discriminated union on `op`."""

from shared.schema.operations.base import Operation
from shared.schema.operations.encodings import (
    AAC_SAMPLE_RATES,
    CHANNEL_COUNTS,
    LOSSY_FORMATS,
    MP3_SAMPLE_RATES,
    OPUS_SAMPLE_RATES,
    AudioFormat,
    Encoding,
    Normalize,
    RateControl,
    Transcode,
    WholeEncoding,
)
from shared.schema.operations.measurements import Acx, Loudness, Probe, SeriesFormat, Silence
from shared.schema.operations.pictures import (
    ColorMap,
    FrequencyScale,
    Spectrogram,
    Waveform,
    WaveformFormat,
    WaveformPicture,
)
from shared.schema.operations.splitting import MAX_PARTS, Split, SplitAtSilence
from shared.schema.operations.tags import Tags
from shared.schema.operations.union import OPERATIONS, AnyOperation, input_names, operations_adapter, with_names

__all__ = [
    "AAC_SAMPLE_RATES",
    "CHANNEL_COUNTS",
    "LOSSY_FORMATS",
    "MAX_PARTS",
    "MP3_SAMPLE_RATES",
    "OPERATIONS",
    "OPUS_SAMPLE_RATES",
    "Acx",
    "AnyOperation",
    "AudioFormat",
    "ColorMap",
    "Encoding",
    "FrequencyScale",
    "Loudness",
    "Normalize",
    "Operation",
    "Probe",
    "RateControl",
    "SeriesFormat",
    "Silence",
    "Spectrogram",
    "Split",
    "SplitAtSilence",
    "Tags",
    "Transcode",
    "Waveform",
    "WaveformFormat",
    "WaveformPicture",
    "WholeEncoding",
    "input_names",
    "operations_adapter",
    "with_names",
]
