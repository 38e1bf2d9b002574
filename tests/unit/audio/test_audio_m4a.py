"""The index of M4A files: of packets that went through FFmpeg's muxer in bundles, as if they had gone one by one."""

from pathlib import Path

import av
import numpy as np
import pytest
from av import AudioFrame

from services.worker.audio.encoders import Labels, Plan, fast_start, open_encoder
from shared.schema.operations import AudioFormat
from shared.schema.results import Chapter
from tests.unit.audio.signals import voice_like

RATE = 44_100
# Packets of AAC, after the one of the encoder's delay: not one bundle, exactly one, one and one more, several.
LENGTHS = [1, 1024, 63 * 1024, 63 * 1024 + 1, 64 * 1024, 600_000]
CHAPTERS = tuple(Chapter(start_seconds=i, end_seconds=i + 1, title=f"{i}") for i in range(3))


def write(path: Path, audio_format: AudioFormat, samples: np.ndarray, labels: Labels) -> None:
    """A file of ours."""
    channels = ("FL", "FR", "FC", "LFE", "BL", "BR")[: len(samples)]
    kbps, bits = (320, 0) if audio_format is AudioFormat.AAC else (None, 16)
    encoder = open_encoder(path, Plan(audio_format, RATE, channels, kbps, bits), labels, dither=False)
    for start in range(0, samples.shape[1], 131_072):
        encoder.write(samples[:, start : start + 131_072])
    encoder.finish()


def write_by_ffmpeg(path: Path, samples: np.ndarray) -> None:
    """AAC as FFmpeg's muxer writes it by itself, the index in front."""
    options = {"brand": "M4A ", "movie_timescale": str(RATE), "movflags": "+faststart"}
    with av.open(str(path), "w", format="mp4", container_options=options) as container:
        stream = container.add_stream("aac", RATE, layout="stereo")
        stream.format = "fltp"
        stream.bit_rate = 320_000
        for start in range(0, samples.shape[1], 131_072):
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 131_072]), "fltp", "stereo")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def demuxed(path: Path) -> tuple[list[tuple[int | None, int | None, int | None, bytes]], dict[str, str], list[object]]:
    """Packets, tags and chapters, as FFmpeg's demuxer reads them."""
    with av.open(str(path)) as container:
        packets = [(packet.pts, packet.dts, packet.duration, bytes(packet)) for packet in container.demux(audio=0)]
        return packets, dict(container.metadata), list(container.chapters())


@pytest.mark.parametrize("frames", LENGTHS)
def test_aac_is_byte_for_byte_what_ffmpeg_writes(tmp_path: Path, frames: int) -> None:
    samples = voice_like(frames / RATE, RATE, 2).astype(np.float32)
    write(tmp_path / "ours.m4a", AudioFormat.AAC, samples, Labels())
    write_by_ffmpeg(tmp_path / "ffmpeg.m4a", samples)
    assert (tmp_path / "ours.m4a").read_bytes() == (tmp_path / "ffmpeg.m4a").read_bytes()


def test_more_than_a_chunk(tmp_path: Path) -> None:
    """The muxer makes a chunk of 1 MiB or a little less, so of bundles it makes others."""
    samples = voice_like(75, RATE, 2).astype(np.float32)
    write(tmp_path / "ours.m4a", AudioFormat.AAC, samples, Labels())
    write_by_ffmpeg(tmp_path / "ffmpeg.m4a", samples)
    assert (tmp_path / "ours.m4a").stat().st_size > 2 << 20
    assert demuxed(tmp_path / "ours.m4a") == demuxed(tmp_path / "ffmpeg.m4a")


@pytest.mark.parametrize("audio_format", [AudioFormat.AAC, AudioFormat.ALAC])
def test_offsets_of_64_bits_where_32_do_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio_format: AudioFormat
) -> None:
    samples = voice_like(8, RATE, 6 if audio_format is AudioFormat.ALAC else 2).astype(np.float32)
    labels = Labels(tags={"title": "Some"}, chapters=CHAPTERS, loudness={"replaygain_track_gain": "-1.00 dB"})
    narrow, wide = tmp_path / "narrow.m4a", tmp_path / "wide.m4a"
    write(narrow, audio_format, samples, labels)
    # As of a file of 4 GiB.
    monkeypatch.setattr(fast_start, "_LARGEST_OFFSET", 0)
    write(wide, audio_format, samples, labels)
    assert b"co64" in wide.read_bytes()[:100_000]
    assert b"co64" not in narrow.read_bytes()[:100_000]
    packets, tags, chapters = demuxed(wide)
    assert (packets, tags, chapters) == demuxed(narrow)
    assert tags["replaygain_track_gain"] == "-1.00 dB"
    assert len(chapters) == len(CHAPTERS)


def test_nothing_is_left_behind_the_media(tmp_path: Path) -> None:
    """The index was there, and the file is shorter by nothing: its boxes end where it ends."""
    path = tmp_path / "a.m4a"
    write(path, AudioFormat.ALAC, voice_like(8, RATE, 2).astype(np.float32), Labels())
    data, place, kinds = path.read_bytes(), 0, []
    while place < len(data):
        kinds.append(data[place + 4 : place + 8])
        place += int.from_bytes(data[place : place + 4], "big")
    assert place == len(data)
    assert kinds == [b"ftyp", b"moov", b"free", b"mdat"]
