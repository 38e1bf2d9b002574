"""Hostile files: they cannot make FFmpeg open another file or an address, and cannot be larger than the limits."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from services.worker.audio import errors, source
from services.worker.audio.engine import process
from services.worker.audio.limits import Limits
from shared.schema.operations import Loudness, Probe, Transcode, Waveform
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import save, silence, sine, voice_like

OPERATIONS = (Probe(), Loudness())


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Audio that belongs to somebody else."""
    return save(tmp_path / "secret.wav", sine(1000, -20, 2))


def playlists(secret: Path, listener: socket.socket) -> dict[str, str]:
    """Files that name a file and an address, by FFmpeg's demuxer for them."""
    port = listener.getsockname()[1]
    segments = [str(secret), f"file:{secret}", f"http://127.0.0.1:{port}/a.ts", f"tcp://127.0.0.1:{port}"]
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + "".join(f"#EXTINF:2,\n{segment}\n" for segment in segments)
    concat = "ffconcat version 1.0\n" + "".join(f"file '{segment}'\n" for segment in segments)
    dash = f"""<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
        mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">
        <Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">
        <BaseURL>{segments[2]}</BaseURL><SegmentList duration="2"><SegmentURL media="{segments[2]}"/></SegmentList>
        </Representation></AdaptationSet></Period></MPD>"""
    sdp = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n"
    return {"hls": hls, "concat": concat, "dash": dash, "sdp": sdp}


@pytest.mark.parametrize("kind", ["hls", "concat", "dash", "sdp"])
def test_second_wall_behind_the_list_of_demuxers(
    tmp_path: Path, secret: Path, listener: socket.socket, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "DEMUXERS", (*source.DEMUXERS, kind))
    playlist = tmp_path / "upload"
    playlist.write_text(playlists(secret, listener)[kind])
    with pytest.raises(errors.AudioError):
        process(playlist, OPERATIONS, tmp_path, source_name=f"a.{kind}")


def test_demuxer_that_opens_files_by_itself_has_no_protocol(
    tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A relative name gets past the concat demuxer's own care; it does not ask refuse_reference, and opens it itself.
    monkeypatch.setattr(source, "DEMUXERS", (*source.DEMUXERS, "concat"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "upload").write_text(f"ffconcat version 1.0\nfile '{secret.name}'\n")
    with pytest.raises(errors.UnsupportedFormat):
        process(tmp_path / "upload", OPERATIONS, tmp_path)


def test_the_secret_can_be_read_where_nobody_forbids_it(tmp_path: Path, secret: Path) -> None:
    # Without this, the tests above might pass because the playlist is no good.
    playlist = tmp_path / "a.ffconcat"
    playlist.write_text(f"ffconcat version 1.0\nfile '{secret.name}'\n")
    with av.open(str(playlist)) as container:
        assert container.streams.audio[0].rate == 48_000


def boxes_holding(content: bytes, path: list[bytes]) -> list[int]:
    """Offsets of nested MP4 boxes, from the outermost on."""
    offsets, position, end = [], 0, len(content)
    for wanted in path:
        while position < end:
            length, kind = struct.unpack(">I4s", content[position : position + 8])
            if kind == wanted:
                break
            position += length
        assert position < end
        offsets.append(position)
        end = position + length
        position += 8
    return offsets


def with_data_reference(content: bytes, target: str) -> bytes:
    """An MP4 whose audio is said to be in another file, by an alias record as QuickTime writes it."""
    offsets = boxes_holding(content, [b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"])
    name = target.rpartition("/")[2].encode()
    alias = bytes(10) + bytes((4,)) + b"disk".ljust(27, b"\0") + bytes(12) + bytes((len(name),)) + name.ljust(63, b"\0")
    alias += bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    path = target.encode() + b"\0" * (len(target) % 2)
    alias += struct.pack(">HH", 2, len(target)) + path + struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    old = content[offsets[-1] : offsets[-1] + struct.unpack(">I", content[offsets[-1] : offsets[-1] + 4])[0]]
    new = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    changed = bytearray(content)
    for offset in offsets[:-1]:
        length = struct.unpack(">I", content[offset : offset + 4])[0] + len(new) - len(old)
        changed[offset : offset + 4] = struct.pack(">I", length)
    return bytes(changed).replace(old, new, 1)


def test_mp4_that_refers_to_another_file(tmp_path: Path, secret: Path) -> None:
    honest = save(tmp_path / "a.mov", voice_like(2, 48_000, 2), 48_000, "pcm_s16le")
    upload = tmp_path / "upload.mov"
    upload.write_bytes(with_data_reference(honest.read_bytes(), str(secret)))
    # The reference is a working one: FFmpeg follows it where it is told to.
    followed = ffmpeg("-v", "verbose", "-enable_drefs", "1", "-use_absolute_path", "1", "-i", upload, "-f", "null", "-")
    assert str(secret) in followed.stderr.decode()
    with pytest.raises(errors.AudioError):
        process(upload, OPERATIONS, tmp_path)


def test_mp4_that_refers_to_another_file_behind_the_second_wall(tmp_path: Path, secret: Path) -> None:
    honest = save(tmp_path / "a.mov", voice_like(2, 48_000, 2), 48_000, "pcm_s16le")
    upload = tmp_path / "upload.mov"
    upload.write_bytes(with_data_reference(honest.read_bytes(), str(secret)))
    with upload.open("rb") as file, pytest.raises(errors.ExternalReference):
        av.open(file, options={"enable_drefs": "1", "use_absolute_path": "1"}, io_open=source.refuse_reference)


def test_attachments_are_not_looked_at(tmp_path: Path) -> None:
    sound = save(tmp_path / "a.wav", voice_like(2, 48_000, 2))
    (tmp_path / "font.ttf").write_bytes(b"\0\1\0\0" + bytes(1000))
    more = ("-attach", tmp_path / "font.ttf", "-metadata:s:t", "mimetype=application/x-truetype-font")
    ffmpeg("-i", sound, *more, "-c:a", "flac", tmp_path / "a.mkv")
    before = {path.name for path in tmp_path.iterdir()}
    report = process(tmp_path / "a.mkv", OPERATIONS, tmp_path)
    assert report.audio_seconds == pytest.approx(2)
    assert {path.name for path in tmp_path.iterdir()} == before


def test_codec_that_is_not_on_the_list(tmp_path: Path) -> None:
    unlisted = save(tmp_path / "a.mka", voice_like(2, 48_000, 2), 48_000, "dca", "-strict", "-2")
    with pytest.raises(errors.UnsupportedFormat, match="dts"):
        process(unlisted, OPERATIONS, tmp_path)


def test_format_that_is_not_on_the_list(tmp_path: Path) -> None:
    unlisted = save(tmp_path / "a.ts", voice_like(2, 48_000, 2), 48_000, "aac", "-f", "mpegts")
    with pytest.raises(errors.UnsupportedFormat):
        process(unlisted, OPERATIONS, tmp_path)


def test_length_limit_counts_what_is_decoded(tmp_path: Path) -> None:
    # 30 minutes of silence are 400 kB of FLAC and 29 MB of samples.
    bomb = save(tmp_path / "a.flac", silence(1800, 8000, 1), 8000, "flac")
    assert bomb.stat().st_size < 500_000
    operations = (Probe(), Waveform(), Transcode(format="wav"))
    with pytest.raises(errors.TooLong, match="10 minutes"):
        process(bomb, operations, tmp_path, limits=Limits(decoded_samples=600 * 8000))
    assert {path.name for path in tmp_path.iterdir()} == {"a.flac"}
    assert process(bomb, operations, tmp_path, limits=Limits(decoded_samples=1800 * 8000)).audio_seconds == 1800


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(channels=1), errors.TooManyChannels),
        (Limits(sample_rate=44_100), errors.SampleRateTooHigh),
        (Limits(streams=1), errors.TooManyStreams),
    ],
)
def test_limits_of_the_stream(tmp_path: Path, limits: Limits, error: type[errors.LimitExceeded]) -> None:
    sound = save(tmp_path / "a.wav", voice_like(1, 48_000, 2))
    ffmpeg("-i", sound, "-map", "0", "-map", "0", "-c", "copy", tmp_path / "a.mka")
    process(tmp_path / "a.mka", OPERATIONS, tmp_path)
    with pytest.raises(error):
        process(tmp_path / "a.mka", OPERATIONS, tmp_path, limits=limits)


def test_tags_cannot_flood_the_result(tmp_path: Path) -> None:
    sound = save(tmp_path / "a.wav", voice_like(1, 48_000, 2))
    tags = [part for number in range(150) for part in ("-metadata", f"tag{number}={'x' * 3000}")]
    ffmpeg("-i", sound, *tags, tmp_path / "a.flac")
    probe = process(tmp_path / "a.flac", (Probe(),), tmp_path).results["probe"]
    assert len(probe.model_dump_json()) < 300_000


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    def kinds(of: type[errors.AudioError]) -> list[type[errors.AudioError]]:
        return [of, *(kind for direct in of.__subclasses__() for kind in kinds(direct))]

    codes = [kind.code for kind in kinds(errors.AudioError)]
    assert len(codes) == len(set(codes))
