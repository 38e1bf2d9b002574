"""What the container says of itself and its streams."""

from collections.abc import Mapping

from av.audio.stream import AudioStream as LibavAudioStream

from services.worker.audio.source import Source, bits_per_sample, layout_name
from shared.schema.results import AudioStream, ProbeResult

# Tags are the uploader's to choose: enough for any honest file, too little to fill a database.
_MOST_TAGS = 100
_LONGEST_TAG = 2000


def describe(source: Source, decoded: int) -> ProbeResult:
    """The result of probe, once the audio was decoded (`decoded`: frames)."""
    seconds = decoded / source.pcm.sample_rate
    return ProbeResult(
        container=source.container.format.name,
        duration_seconds=round(seconds, 6),
        size_bytes=source.size,
        bitrate_kbps=round(source.size * 8 / seconds / 1000, 3) if seconds else None,
        streams=tuple(_stream(stream) for stream in source.container.streams.audio),
        audio_stream=source.stream.index,
        tags=_tags(source.container.metadata) or _tags(source.stream.metadata),
    )


def _stream(stream: LibavAudioStream) -> AudioStream:
    # PyAV's stub says that there always is a codec context; for a codec unknown to this build there is none.
    context = getattr(stream, "codec_context", None)
    if context is None:
        return AudioStream(
            index=stream.index,
            codec="unknown",
            sample_rate=0,
            channels=0,
            layout="unknown",
            sample_format=None,
            bits_per_sample=None,
            bitrate_kbps=None,
            language=stream.language,
        )
    return AudioStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        sample_rate=stream.rate,
        channels=context.layout.nb_channels,
        layout=layout_name(context.layout),
        sample_format=context.format.name if context.format else None,
        bits_per_sample=bits_per_sample(stream),
        bitrate_kbps=round(stream.bit_rate / 1000, 3) if stream.bit_rate else None,
        language=stream.language,
    )


def _tags(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key[:_LONGEST_TAG]: value[:_LONGEST_TAG] for key, value in list(metadata.items())[:_MOST_TAGS]}
