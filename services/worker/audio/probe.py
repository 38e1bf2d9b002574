"""What the container says of itself and its streams."""

from av.audio.stream import AudioStream as LibavAudioStream
from av.stream import Stream

from services.worker.audio.chapters import all_chapters
from services.worker.audio.cover import Cover
from services.worker.audio.source import Source, bits_per_sample, is_attached_picture, layout_name
from services.worker.audio.tags import all_tags
from shared.schema.results import AudioStream, CoverArt, OtherStream, ProbeResult


def describe(source: Source, decoded: int, cover: Cover | None, cover_artifact: str | None) -> ProbeResult:
    """The result of probe, once the audio was decoded.

    Args:
        source: the input.
        decoded: frames that were decoded.
        cover: its cover picture, where it can be looked into.
        cover_artifact: the name of the file that it was written to.
    """
    seconds = decoded / source.pcm.sample_rate
    return ProbeResult(
        container=source.container.format.name,
        duration_seconds=round(seconds, 6),
        size_bytes=source.size,
        bitrate_kbps=round(source.size * 8 / seconds / 1000, 3) if seconds else None,
        streams=tuple(_stream(stream) for stream in source.container.streams.audio),
        audio_stream=source.stream.index,
        other_streams=tuple(_other(stream) for stream in source.container.streams if _is_other(stream)),
        tags=all_tags(source),
        cover_art=_cover_art(source, cover, cover_artifact),
        chapters=all_chapters(source),
    )


def _is_other(stream: Stream) -> bool:
    return stream.type != "audio" and not is_attached_picture(stream)


def _other(stream: Stream) -> OtherStream:
    # PyAV's stub says that there always is a codec context; for a codec unknown to this build there is none.
    context = getattr(stream, "codec_context", None)
    codec = None if context is None else context.codec.canonical_name
    return OtherStream(index=stream.index, kind=stream.type, codec=codec)


def _cover_art(source: Source, cover: Cover | None, artifact: str | None) -> CoverArt | None:
    if cover is not None:
        return CoverArt(
            format=cover.format,
            width=cover.width,
            height=cover.height,
            size_bytes=len(cover.data),
            artifact=artifact,
        )
    if any(is_attached_picture(stream) for stream in source.container.streams):
        return CoverArt(format=None, width=None, height=None, size_bytes=None)
    return None


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
