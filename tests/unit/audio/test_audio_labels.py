"""Tags and covers: carried over, set, left out, and of no harm; as FFmpeg reads them back."""

import re
import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.cover import read_cover
from services.worker.audio.engine import Extra, process
from services.worker.audio.errors import TooMuchMetadata
from services.worker.audio.limits import Limits
from shared.schema.operations import AnyOperation, AudioFormat, Normalize, Probe, Transcode
from shared.schema.results import ProbeResult
from tests.unit.audio import independent
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import save, sine, voice_like

TAGS = {
    "title": "Grüße, 世界 🎙",
    "artist": "A; B = C # D",
    "album": "Album",
    "album_artist": "Various",
    "composer": "C",
    "genre": "Podcast",
    "date": "2024-05-06",
    "track": "3/12",
    "comment": "Two\nlines",
    "copyright": "(c) 2024",
}
NOT_IN_WAV = {"album_artist", "composer"}


def tags(path: Path) -> dict[str, str]:
    """The tags of a file by FFmpeg's names, in small letters."""
    level = ("-map_metadata", "0:s:a:0") if path.suffix == ".opus" else ()
    said = ffmpeg("-v", "error", "-i", path, *level, "-f", "ffmetadata", "-").stdout.decode()
    said = said.replace("\\\n", "\0")
    lines = [line.partition("=") for line in said.splitlines() if "=" in line.replace("\\=", "")]
    plain = {name.lower(): text for name, _, text in lines}
    return {name: text.replace("\0", "\n").replace("\\", "") for name, text in plain.items()}


def cover(path: Path) -> bytes:
    """The cover of a file, as it stands in it; empty without one."""
    if b"attached pic" not in ffmpeg("-i", path, "-map", "0:a", "-c", "copy", "-f", "null", "-").stderr:
        return b""
    return ffmpeg("-v", "error", "-i", path, "-map", "0:v", "-c", "copy", "-f", "image2pipe", "-").stdout


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A FLAC with tags and a PNG, an M4A with them and a JPEG, and the two pictures."""
    folder = tmp_path_factory.mktemp("labelled")
    sound = save(folder / "sound.flac", voice_like(2, 44_100, 2), 44_100, "flac")
    files: dict[str, Path] = {}
    for art, name, codec in (("png", "a.flac", "copy"), ("jpg", "a.m4a", "aac")):
        picture = folder / f"art.{art}"
        ffmpeg("-f", "lavfi", "-i", "testsrc=s=320x200", "-frames:v", "1", picture)
        labels = [part for key, text in TAGS.items() for part in ("-metadata", f"{key}={text}")]
        inputs = ("-i", sound, "-i", picture, "-map", "0", "-map", "1", "-c:v", "copy", "-c:a", codec)
        where = ("-metadata", "location=+48.2/", "-disposition:v", "attached_pic")
        ffmpeg(*inputs, *labels, *where, folder / name)
        files |= {art: picture, name: folder / name}
    return files


@pytest.mark.parametrize(("name", "art"), [("a.flac", "png"), ("a.m4a", "jpg")])
def test_tags_and_cover_are_carried_over(labelled: dict[str, Path], tmp_path: Path, name: str, art: str) -> None:
    operations = [Transcode(format=audio_format, name=str(audio_format)) for audio_format in AudioFormat]
    report = process(labelled[name], operations, tmp_path)
    picture = labelled[art].read_bytes()
    for audio_format, artifact in zip(AudioFormat, report.artifacts, strict=True):
        found = tags(artifact.path)
        expected = TAGS if audio_format != "wav" else {key: TAGS[key] for key in TAGS.keys() - NOT_IN_WAV}
        assert {key: found.get(key) for key in expected} == expected, audio_format
        assert not [key for key in found if "location" in key], audio_format
        assert cover(artifact.path) == (b"" if audio_format == "wav" else picture), audio_format
        if audio_format in {"mp3", "opus", "flac"}:
            assert (
                b"Cover (front)" in ffmpeg("-i", artifact.path, "-map", "0:a", "-c", "copy", "-f", "null", "-").stderr
            )
        # They take nothing from the audio.
        length = 96_000 if audio_format == "opus" else 88_200
        assert independent.read(artifact.path).shape == (2, length), audio_format


def test_tags_as_asked(labelled: dict[str, Path], tmp_path: Path) -> None:
    operations = (
        Transcode(format="mp3", name="set", tags={"title": "Other", "artist": "", "disc": "1/2"}),
        Transcode(format="flac", name="none", keep_tags=False, keep_cover=False),
        Transcode(format="aac", name="only", keep_tags=False, keep_cover=False, tags={"title": "Other"}),
    )
    written, none, only = (artifact.path for artifact in process(labelled["a.flac"], operations, tmp_path).artifacts)
    found = tags(written)
    assert (found["title"], found["disc"], found["album"], "artist" in found) == ("Other", "1/2", "Album", False)
    assert tags(none).keys() <= {"encoder"}
    assert (cover(none), cover(only)) == (b"", b"")
    assert tags(only)["title"] == "Other"
    assert "artist" not in tags(only)


TAGGED = [each for each in AudioFormat if each != "wav"]


def assert_tagged(path: Path, *, what: str, lufs: float, dbtp: float) -> None:
    """The loudness tags of a file, for its `track` or its `album`, are those of a loudness and a true peak."""
    found = tags(path)
    if path.suffix == ".opus":
        # RFC 7845, 5.2.1: in 256ths of a decibel, to -23 LUFS; the others are not to stand there.
        assert int(found[f"r128_{what}_gain"]) / 256 == pytest.approx(-23 - lufs, abs=0.1)
        assert f"replaygain_{what}_gain" not in found
        return
    gain, unit = found[f"replaygain_{what}_gain"].split()
    assert unit == "dB"
    assert float(gain) == pytest.approx(-18 - lufs, abs=0.1)
    assert 20 * np.log10(float(found[f"replaygain_{what}_peak"])) == pytest.approx(dbtp, abs=0.15)
    assert re.search(f"Replay Gain: .*{what} gain", ffmpeg("-i", path, "-f", "null", "-").stderr.decode())


@pytest.mark.parametrize("audio_format", TAGGED)
def test_loudness_tags(labelled: dict[str, Path], tmp_path: Path, audio_format: AudioFormat) -> None:
    operation = Transcode(format=audio_format, loudness_tags=True)
    path = process(labelled["a.flac"], (operation,), tmp_path).artifacts[0].path
    judge = independent.measure(labelled["a.flac"])
    assert_tagged(path, what="track", lufs=judge.integrated_lufs, dbtp=judge.true_peak_dbtp)
    assert tags(path)["title"] == TAGS["title"]
    assert cover(path) == labelled["png"].read_bytes()
    assert independent.read(path).shape[1] in {88_200, 96_000}


@pytest.mark.parametrize("target_lufs", [-30.0, -10.0])
@pytest.mark.parametrize("audio_format", TAGGED)
def test_loudness_tags_of_a_master_are_of_the_finished_file(
    labelled: dict[str, Path], tmp_path: Path, audio_format: AudioFormat, target_lufs: float
) -> None:
    # The louder one goes through the limiter.
    plain = Normalize(format=audio_format, target_lufs=target_lufs, name="plain")
    tagged = plain.model_copy(update={"loudness_tags": True, "name": "tagged"})
    report = process(labelled["a.flac"], (plain, tagged), tmp_path)
    without, path = (artifact.path for artifact in report.artifacts)
    assert np.array_equal(independent.read(path), independent.read(without))
    judge = independent.measure(path)
    assert_tagged(path, what="track", lufs=judge.integrated_lufs, dbtp=judge.true_peak_dbtp)
    assert not [name for name in tags(without) if name.startswith(("replaygain", "r128"))]


@pytest.mark.parametrize("audio_format", TAGGED)
def test_loudness_tags_of_an_album(tmp_path: Path, audio_format: AudioFormat) -> None:
    tracks = [voice_like(6, 48_000, 2, seed=seed) * 10 ** (dbfs / 20) for seed, dbfs in ((1, -12), (2, -20))]
    one, two = (save(tmp_path / f"{n}.flac", track, 48_000, "flac") for n, track in enumerate(tracks))
    operation = Normalize(format=audio_format, target_lufs=-24, album=("two",), loudness_tags=True)
    report = process(one, (operation,), tmp_path, extras={"two": Extra(two)})
    paths = [artifact.path for artifact in report.artifacts]
    together = save(
        tmp_path / "all.wav", np.concatenate([independent.read(path) for path in paths], axis=1), 48_000, "pcm_f32le"
    )
    album = independent.measure(together)
    for path in paths:
        judge = independent.measure(path)
        assert_tagged(path, what="track", lufs=judge.integrated_lufs, dbtp=judge.true_peak_dbtp)
        assert_tagged(path, what="album", lufs=album.integrated_lufs, dbtp=album.true_peak_dbtp)


HOSTILE = b"\x1b[31mred\x07\x00\xff\xfe\xed\xa0\x80<script>'\";--\r\n%s%n" + b"A" * 300_000


def info_chunk(**tags: bytes) -> bytes:
    """A LIST chunk of a WAV, whatever is in it."""
    items = b"".join(
        name.encode() + struct.pack("<I", len(text)) + text + bytes(len(text) % 2) for name, text in tags.items()
    )
    return b"LIST" + struct.pack("<I", 4 + len(items)) + b"INFO" + items


def id3_frame(name: bytes, content: bytes) -> bytes:
    return name + struct.pack(">I", len(content)) + bytes(2) + content


def id3(*frames: bytes) -> bytes:
    """An ID3v2.3 tag."""
    size = sum(map(len, frames))
    return b"ID3\x03\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + b"".join(frames)


def hostile_wav(folder: Path) -> Path:
    path = save(folder / "a.wav", sine(440, -20, 1))
    path.write_bytes(path.read_bytes() + info_chunk(INAM=HOSTILE, IART=b"\xff" * 99, ICMT=HOSTILE))
    return path


def hostile_mp3(folder: Path) -> Path:
    path = save(folder / "a.mp3", sine(440, -20, 1), 48_000, "libmp3lame", "-id3v2_version", "0")
    many = (id3_frame(b"TXXX", b"\x03key%d\0" % number + HOSTILE[:2_000]) for number in range(500))
    # Text that says it is UTF-16 and is not, and a picture that says it is a JPEG.
    odd = (
        id3_frame(b"TIT2", b"\x01" + HOSTILE),
        id3_frame(b"TPE1", b"\x00" + HOSTILE),
        id3_frame(b"APIC", b"\x00image/jpeg\0\x03\0" + b"\xff\xd8\xff" + HOSTILE),
    )
    path.write_bytes(id3(*odd, *many) + path.read_bytes())
    return path


@pytest.mark.parametrize("make", [hostile_wav, hostile_mp3])
def test_hostile_tags_do_no_harm(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    output = tmp_path / "out"
    output.mkdir()
    operations: tuple[AnyOperation, ...] = (
        Probe(cover_art=True),
        *(Transcode(format=each, name=str(each), loudness_tags=each != "wav") for each in AudioFormat),
    )
    report = process(make(tmp_path), operations, output)
    probe = report.results["probe"]
    assert isinstance(probe, ProbeResult)
    # What is stored: few, short, and such as PostgreSQL and a terminal take.
    assert len(probe.tags) <= 100
    for text in (*probe.tags, *probe.tags.values()):
        assert len(text) <= 2_000
        assert not [each for each in text if unicodedata.category(each) in {"Cc", "Cs"} and each != "\n"]
    assert len(probe.model_dump_json().encode()) < 1_000_000
    assert not [artifact for artifact in report.artifacts if artifact.name.startswith("probe")]
    for artifact in report.artifacts:
        assert artifact.path.stat().st_size < 400_000
        assert independent.read(artifact.path).shape == (2, 48_000)


@pytest.mark.parametrize("kilobytes", [9_000, 11_000])
def test_cover_up_to_a_limit(tmp_path: Path, kilobytes: int) -> None:
    picture = tmp_path / "art.jpg"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=320x200", "-frames:v", "1", picture)
    large = picture.read_bytes() + bytes(kilobytes * 1000)  # behind its end: no reader looks there
    path = save(tmp_path / "a.mp3", sine(440, -20, 1), 48_000, "libmp3lame", "-id3v2_version", "0")
    path.write_bytes(id3(id3_frame(b"APIC", b"\x00image/jpeg\0\x03\0" + large)) + path.read_bytes())
    output = tmp_path / "out"
    output.mkdir()
    report = process(path, (Probe(cover_art=True), Transcode(format="opus")), output)
    probe = report.results["probe"]
    assert isinstance(probe, ProbeResult)
    assert probe.cover_art is not None
    if kilobytes < 10_000:
        assert (probe.cover_art.format, probe.cover_art.width, probe.cover_art.height) == ("jpeg", 320, 200)
        assert (output / "probe.jpg").read_bytes() == large
        assert cover(output / "transcode.opus") == large
    else:
        assert probe.cover_art.model_dump() == {
            "format": None,
            "width": None,
            "height": None,
            "size_bytes": None,
            "artifact": None,
        }
        assert cover(output / "transcode.opus") == b""


def with_large_picture(folder: Path, name: str) -> Path:
    """A file with two megabytes of cover."""
    picture, sound = folder / "art.jpg", save(folder / "sound.wav", sine(440, -20, 1))
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=320x200", "-frames:v", "1", picture)
    picture.write_bytes(picture.read_bytes() + bytes(2_000_000))
    if name.endswith(".mka"):
        ffmpeg("-i", sound, "-attach", picture, "-metadata:s:t", "mimetype=image/jpeg", folder / name)
    else:
        art = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
        ffmpeg("-i", sound, "-i", picture, *art, folder / name)
    return folder / name


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a", "a.mka"])
def test_no_more_is_kept_in_memory_than_is_allowed(tmp_path: Path, name: str) -> None:
    source = with_large_picture(tmp_path, name)
    output = tmp_path / "out"
    output.mkdir()
    process(source, (Probe(),), output, limits=Limits(header_bytes=8_000_000))
    with pytest.raises(TooMuchMetadata, match="more than the 1 MB of tags, pictures and index that are allowed"):
        process(source, (Probe(),), output, limits=Limits(header_bytes=1_000_000))


def test_audio_is_no_metadata(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", sine(440, -20, 60))
    assert source.stat().st_size > 10_000_000
    assert process(source, (Probe(),), tmp_path, limits=Limits(header_bytes=6_000_000)).audio_seconds == 60


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        # A header that says 2^31 by 2^31 pixels.
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0" + bytes(100),
    ],
)
def test_what_is_no_cover(data: bytes) -> None:
    assert read_cover(data) is None
