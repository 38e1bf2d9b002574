"""Tags and covers into files, by FFmpeg's muxers: each format has its own place for them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Disposition, Stream

from services.worker.audio.cover import Cover, flac_picture
from services.worker.audio.encoders.chaptering import add_id3_chapters, add_m4a_chapters, chapter_comments
from services.worker.audio.encoders.plan import M4A_FORMATS
from services.worker.audio.loudness import Measurement, gains
from shared.schema.operations import AudioFormat
from shared.schema.results import Chapter

_COVER_CODECS = {"jpeg": "mjpeg", "png": "png"}
# One of ID3's kinds of pictures, as FFmpeg calls it.
_FRONT_COVER = "Cover (front)"


@dataclass(frozen=True)
class Labels:
    """What is said of the audio in its file.

    Attributes:
        tags: by FFmpeg's names.
        cover: a picture.
        loudness: tags that tell players how far to turn it up or down, by the format's names.
        chapters: one behind another.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    cover: Cover | None = None
    loudness: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()


def label_container(container: OutputContainer, stream: AudioStream, audio_format: AudioFormat, labels: Labels) -> None:
    """Set the tags and chapters of a container that is about to be written."""
    if audio_format is AudioFormat.OPUS:
        # Ogg has its tags in each stream.
        stream.metadata.update(labels.tags)
        stream.metadata.update(labels.loudness)
        stream.metadata.update(chapter_comments(labels.chapters))
        if labels.cover is not None:
            stream.metadata["METADATA_BLOCK_PICTURE"] = base64.b64encode(flac_picture(labels.cover)).decode()
        return
    container.metadata.update(labels.tags)
    if audio_format is AudioFormat.FLAC:
        container.metadata.update(labels.loudness)
        container.metadata.update(chapter_comments(labels.chapters))
    if audio_format in M4A_FORMATS:
        add_m4a_chapters(container, labels.chapters)


def add_cover(container: OutputContainer, audio_format: AudioFormat, cover: Cover | None) -> None:
    """Add a cover where the format has it as a stream (FLAC, M4A, MP3); the container's header is written by this."""
    if cover is None or audio_format in {AudioFormat.OPUS, AudioFormat.WAV}:
        return
    stream = container.add_mux_stream(_COVER_CODECS[cover.format], width=cover.width, height=cover.height)
    stream.disposition = Disposition.attached_pic
    stream.metadata["comment"] = _FRONT_COVER
    packet: Packet[Stream] = Packet(cover.data)
    packet.stream = stream
    packet.pts = packet.dts = 0
    container.mux(packet)


def loudness_tags(audio_format: AudioFormat, measured: Measurement, album: Measurement | None = None) -> dict[str, str]:
    """What tells players how far to turn the audio up or down, by the names of a format.

    Opus has gains of its own, and forbids the others (RFC 7845, 5.2.1).

    Args:
        audio_format: of the file.
        measured: what is in it.
        album: all tracks of its album as one.
    """
    tags: dict[str, str] = {}
    for what, measurement in (("TRACK", measured), ("ALBUM", album)):
        if measurement is None:
            continue
        found = gains(measurement)
        if audio_format is AudioFormat.OPUS:
            tags[f"R128_{what}_GAIN"] = str(found.r128_track_gain)
        else:
            tags[f"REPLAYGAIN_{what}_GAIN"] = f"{found.track_gain_db:.2f} dB"
            tags[f"REPLAYGAIN_{what}_PEAK"] = f"{found.track_peak:.6f}"
    # As players that read M4A write them.
    return {name.lower(): text for name, text in tags.items()} if audio_format in M4A_FORMATS else tags


def id3_tag(labels: Labels) -> bytes:
    """An ID3v2.4 tag, as FFmpeg writes it in front of an MP3; empty where there is nothing to say."""
    if labels == Labels():
        return b""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3", container_options={"write_xing": "0"}) as container:
        container.add_mux_stream("mp3", 44_100)
        container.metadata.update(labels.tags)
        container.metadata.update(labels.loudness)
        add_id3_chapters(container, labels.chapters)
        add_cover(container, AudioFormat.MP3, labels.cover)
        container.start_encoding()
    return file.getvalue()
