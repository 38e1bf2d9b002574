"""Files that name other files and addresses, in every way that a container has: none of them is followed.

What could be followed is watched: a file that notices when it is opened, and a socket that notices who connects.
"""

import ctypes
import os
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.worker.audio.engine import process
from services.worker.audio.errors import AudioError
from shared.schema.operations import Loudness, Probe, Transcode
from tests.unit.audio.signals import save, sine, voice_like

OPERATIONS = (Probe(), Loudness(), Transcode(format="wav"))
NAMES = (
    *(None, "a", "a.mp3", "a.wav", "a.m4a", "a.mov", "a.ogg", "a.mka", "a.wma", "a.aac", "a.flac", "a.amr"),
    *("a.m3u8", "a.mpd", "a.sdp", "a.ffconcat", "a.pls", "a.xspf", "a.asx", "a.cpl", "http://127.0.0.1/a.mp3"),
)
_OPENED = 0x20 | 0x1  # IN_OPEN | IN_ACCESS of inotify(7)


@dataclass(frozen=True)
class Watched:
    """What nobody may touch.

    Attributes:
        file: audio that is there to be found, in the working directory.
        port: of a socket that listens on 127.0.0.1.
    """

    file: Path
    port: int
    _inotify: int
    _server: socket.socket

    def was_opened(self) -> bool:
        """Whether anybody has opened the file since it was last asked."""
        try:
            return bool(os.read(self._inotify, 65_536))
        except BlockingIOError:
            return False

    def was_called(self) -> bool:
        """Whether anybody has connected."""
        try:
            self._server.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    file = save(tmp_path / "secret.wav", sine(1000, -20, 1))
    # A relative name is found too.
    monkeypatch.chdir(tmp_path)
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_NONBLOCK)
    assert inotify >= 0
    assert libc.inotify_add_watch(inotify, os.fsencode(file), _OPENED) >= 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield Watched(file, server.getsockname()[1], inotify, server)
    os.close(inotify)


def targets(watched: Watched) -> list[str]:
    """The file and the address, by each of FFmpeg's protocols that could get there."""
    path, place = watched.file, f"127.0.0.1:{watched.port}"
    files = [path.name, str(path), f"file:{path}", f"file://{path}", f"cache:{path}", f"async:{path}", f"crypto:{path}"]
    files += [f"subfile,,start,0,end,0,,:{path}", f"concat:{path}|{path}", f"concatf:{path}", f"fd:{path}"]
    addresses = [
        f"{scheme}://{place}/a.wav" for scheme in ("http", "https", "tcp", "tls", "ftp", "rtmp", "rtsp", "mmsh")
    ]
    return files + addresses


def hls(target: str) -> bytes:
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXT-X-MAP:URI="{target}"\n'
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{key}#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n".encode()


def hls_master(target: str) -> bytes:
    media = f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{target}"\n'
    return f'#EXTM3U\n{media}#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\n{target}\n'.encode()


def dash(target: str) -> bytes:
    return f"""<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
        mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">
        <Period><AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">
        <BaseURL>{target}</BaseURL><SegmentList duration="2"><SegmentURL media="{target}"/></SegmentList>
        </Representation></AdaptationSet></Period></MPD>""".encode()


def sdp(target: str) -> bytes:
    port = target.rpartition(":")[2].partition("/")[0]
    media = f"m=audio {port} RTP/AVP 0\n" if port.isdigit() else f"a=control:{target}\nm=audio 5004 RTP/AVP 0\n"
    return f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n{media}".encode()


PLAYLISTS: Mapping[str, Callable[[str], bytes]] = {
    "hls": hls,
    "hls master": hls_master,
    "hls behind an ID3 tag": lambda target: b"ID3\4\0\0\0\0\0\0" + hls(target),
    "dash": dash,
    "sdp": sdp,
    "concat": lambda target: f"ffconcat version 1.0\nfile '{target}'\n".encode(),
    "m3u": lambda target: f"#EXTM3U\n{target}\n".encode(),
    "pls": lambda target: f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode(),
    "asf references": lambda target: f"[Reference]\r\nRef1={target}\r\n".encode(),
    "asx": lambda target: f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'.encode(),
    "xspf": lambda target: f'<?xml version="1.0"?><playlist><location>{target}</location></playlist>'.encode(),
    "imf": lambda target: f'<?xml version="1.0"?><CompositionPlaylist><Id>{target}</Id></CompositionPlaylist>'.encode(),
    "rtsp redirect": lambda target: f"RTSPtext\r\n{target}\r\n".encode(),
}  # fmt: skip


def times_taken(upload: Path, contents: list[bytes]) -> int:
    """How many files were taken for audio, which is no fault: the first under every name, the others under a few."""
    output = upload.parent / "out"
    output.mkdir()
    taken = 0
    for number, content in enumerate(contents):
        upload.write_bytes(content)
        for name in NAMES if number == 0 else NAMES[number % len(NAMES) :: 8]:
            try:
                process(upload, OPERATIONS, output, source_name=name)
            except AudioError:
                continue
            taken += 1
    return taken


def test_what_is_watched_is_noticed(watched: Watched) -> None:
    # Without this, the tests below might pass because nobody looks.
    watched.file.read_bytes()
    with socket.create_connection(("127.0.0.1", watched.port)):
        pass
    assert watched.was_opened()
    assert watched.was_called()
    assert not watched.was_opened()
    assert not watched.was_called()


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlist(tmp_path: Path, watched: Watched, kind: str) -> None:
    assert times_taken(tmp_path / "upload", [PLAYLISTS[kind](target) for target in targets(watched)]) == 0
    assert not watched.was_opened()
    assert not watched.was_called()


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of MP4 and QuickTime."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def reference_movie(target: str) -> bytes:
    """A QuickTime file that is nothing but the address of another."""
    address = target.encode() + b"\0"
    reference = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(address)), address)
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + box(b"moov", box(b"rmra", box(b"rmda", reference)))


def with_data_reference(honest: bytes, target: str) -> bytes:
    """An MP4 whose audio is said to be at an address (ISO 14496-12, 8.7.2)."""
    entry = box(b"url ", bytes(4), target.encode() + b"\0")
    old = honest.index(b"dref") - 4
    length = struct.unpack(">I", honest[old : old + 4])[0]
    new = box(b"dref", bytes(4), struct.pack(">I", 1), entry)
    changed = bytearray(honest)
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        at = honest.index(parent) - 4
        grown = struct.unpack(">I", honest[at : at + 4])[0] + len(new) - length
        changed[at : at + 4] = struct.pack(">I", grown)
    return bytes(changed[:old]) + new + bytes(changed[old + length :])


def element(identifier: str, content: bytes) -> bytes:
    """An element of Matroska (RFC 8794), its length in four bytes."""
    return bytes.fromhex(identifier) + struct.pack(">I", 0x1000_0000 | len(content)) + content


def with_linked_segments(honest: bytes, target: str) -> bytes:
    """A Matroska file that goes on in another file (RFC 9559, 17), which its chapters want played in between."""
    name, other, info_id = target.encode(), bytes(range(16)), bytes.fromhex("1549A966")
    links = b"".join(
        (element("3E83BB", name), element("3C83AB", name), element("3EB923", other), element("3CB923", other))
    )
    chapter = element("B6", element("73C4", b"\1") + element("91", b"\0") + element("6E67", other))
    chapters = element("1043A770", element("45B9", element("45DD", b"\1") + chapter))
    # The first mention of it is in the index of elements.
    at = honest.index(info_id, honest.index(info_id) + 1) + 4
    width = 9 - honest[at].bit_length()
    length = int.from_bytes(honest[at : at + width], "big") & (1 << 7 * width) - 1
    info = element("1549A966", honest[at + width : at + width + length] + links)
    # The segment ends where the file does.
    segment = honest.index(bytes.fromhex("18538067")) + 4
    head = honest[:segment] + b"\x01" + b"\xff" * 7 + honest[segment + 8 : at - 4]
    return head + info + chapters + honest[at + width + length :]


def with_linked_picture(honest: bytes, target: str) -> bytes:
    """An MP3 whose cover is said to be at an address (ID3v2.4, 4.14)."""
    frame = b"\0-->\0\3\0" + target.encode()
    tag = b"APIC" + struct.pack(">I", len(frame)) + b"\0\0" + frame
    return b"ID3\4\0\0" + bytes((0, 0, len(tag) >> 7, len(tag) & 0x7F)) + tag + honest


CONTAINERS: Mapping[str, tuple[tuple[str, ...], Callable[[bytes, str], bytes]]] = {
    "reference movie": (("a.mov", "pcm_s16le"), lambda honest, target: reference_movie(target)),
    "data reference": (("a.m4a", "aac"), with_data_reference),
    "data reference of pcm": (("a.mov", "pcm_s16le"), with_data_reference),
    "linked segments": (("a.mka", "flac"), with_linked_segments),
    "linked picture": (("a.mp3", "libmp3lame", "-id3v2_version", "0"), with_linked_picture),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_container(tmp_path: Path, watched: Watched, kind: str) -> None:
    (name, *encoding), make = CONTAINERS[kind]
    honest = save(tmp_path / name, voice_like(0.5, 48_000, 2), 48_000, *encoding).read_bytes()
    contents = [make(honest, target) for target in targets(watched)]
    assert all(target.encode() in content for target, content in zip(targets(watched), contents, strict=True))
    taken = times_taken(tmp_path / "upload", contents)
    # All but the reference movie hold audio of their own, which an address beside it is no reason to refuse.
    assert (taken > 0) == (kind != "reference movie")
    assert not watched.was_opened()
    assert not watched.was_called()
