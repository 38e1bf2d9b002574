"""Every format, channel count and length that must work, through all five operations; and files that are no audio."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from deploy.local.servers import RedisServer
from tests.audio_files import ffmpeg, noise, recording
from tests.system import Job, System

ALL_FIVE: tuple[dict[str, object], ...] = (
    {"op": "probe"},
    {"op": "loudness"},
    {"op": "waveform"},
    {"op": "transcode", "format": "opus"},
    {"op": "normalize", "target_lufs": -30},
)
FORMATS: dict[str, tuple[str, ...]] = {
    "wav": ("-c:a", "pcm_s16le"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "128k"),
    "flac": ("-c:a", "flac"),
    "opus": ("-c:a", "libopus"),
    "ogg": ("-c:a", "libvorbis"),
    "m4a": ("-c:a", "aac"),
}


@pytest.fixture(scope="module")
def system(
    postgres_server: object,
    redis_server: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Path,
) -> Iterator[System]:
    """One system for all of these: its worker must live through every one of them."""
    folder = tmp_path_factory.mktemp("formats")
    database = folder / "wavemill.db"
    database.write_bytes(sqlite_template.read_bytes())
    Redis.from_url(redis_server.url).flushall()
    with System(folder, database_url=f"sqlite:///{database}", redis=redis_server) as system:
        system.start()
        yield system


def run(system: System, file: Path) -> Job:
    return system.finished(system.submit(file, *ALL_FIVE)["id"], seconds=240)


def check_all_five(job: Job, *, seconds: float, channels: int) -> None:
    assert job["error_message"] is None
    assert set(job["results"]) == {"probe", "loudness", "waveform", "transcode", "normalize"}
    assert {artifact["name"] for artifact in job["artifacts"]} == {
        "waveform.dat",
        "transcode.opus",
        "normalize.flac",
    }
    probe = job["results"]["probe"]
    assert abs(probe["duration_seconds"] - seconds) < 0.06
    assert probe["streams"][0]["channels"] == channels
    assert job["results"]["normalize"]["channels"] == channels


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("extension", FORMATS)
def test_each_format_from_mono_to_5_1(system: System, tmp_path: Path, extension: str, channels: int) -> None:
    if extension == "mp3" and channels == 6:
        channels = 2  # MP3 has no 5.1
    rate = 48000 if extension == "opus" else 44100
    file = noise(tmp_path / f"x.{extension}", seconds=3, channels=channels, rate=rate, arguments=FORMATS[extension])
    check_all_five(run(system, file), seconds=3, channels=channels)


def test_24_bit_at_96_khz_keeps_its_bits(system: System, tmp_path: Path) -> None:
    file = noise(tmp_path / "hires.wav", seconds=3, rate=96000, arguments=("-c:a", "pcm_s24le"))
    job = run(system, file)
    check_all_five(job, seconds=3, channels=2)
    master = tmp_path / "master.flac"
    master.write_bytes(system.artifact(job, "normalize.flac"))
    said = ffmpeg("-i", master, "-f", "null", "-")
    assert "96000 Hz" in said
    assert "(24 bit)" in said


@pytest.mark.parametrize("extension", FORMATS)
def test_a_tenth_of_a_second(system: System, tmp_path: Path, extension: str) -> None:
    rate = 48000 if extension == "opus" else 44100
    file = noise(tmp_path / f"short.{extension}", seconds=0.1, rate=rate, arguments=FORMATS[extension])
    check_all_five(run(system, file), seconds=0.1, channels=2)


def test_what_can_come_out(system: System, tmp_path: Path) -> None:
    file = noise(tmp_path / "x.flac", seconds=5, arguments=("-metadata", "title=Rain"))
    operations: tuple[dict[str, object], ...] = (
        {"op": "loudness", "series": ["csv", "json"], "replay_gain": True},
        {"op": "waveform", "formats": ["svg", "png"], "split_channels": True, "pixels_per_second": 20},
        {"op": "spectrogram", "axes": True},
        {"op": "transcode", "format": "alac", "loudness_tags": True, "tags": {"artist": "Nobody"}},
        {"op": "transcode", "format": "mp3", "quality": 4},
        {"op": "normalize", "format": "wav", "bit_depth": 32},
    )
    job = system.finished(system.submit(file, *operations)["id"])
    assert job["error_message"] is None
    assert {artifact["name"]: artifact["media_type"] for artifact in job["artifacts"]} == {
        "loudness.csv": "text/csv",
        "loudness.json": "application/json",
        "waveform.svg": "image/svg+xml",
        "waveform.png": "image/png",
        "spectrogram.png": "image/png",
        "transcode.m4a": "audio/mp4",
        "transcode-2.mp3": "audio/mpeg",
        "normalize.wav": "audio/wav",
    }
    assert job["results"]["waveform"]["channels"] == 2
    assert job["results"]["loudness"]["replay_gain"]["track_peak"] > 0
    (tmp_path / "x.m4a").write_bytes(system.artifact(job, "transcode.m4a"))
    said = ffmpeg("-i", tmp_path / "x.m4a", "-f", "null", "-")
    assert "replaygain_track_gain" in said
    assert "title           : Rain" in said
    assert "artist          : Nobody" in said


def test_an_hour(system: System, tmp_path: Path) -> None:
    file = noise(tmp_path / "hour.wav", seconds=3600, channels=1, rate=8000)
    check_all_five(run(system, file), seconds=3600, channels=1)


def test_edited_and_in_parts(system: System, tmp_path: Path) -> None:
    file = noise(tmp_path / "noise.flac", seconds=6)
    edits = [{"edit": "trim", "start_seconds": 1, "end_seconds": 5.5}, {"edit": "fade", "out_seconds": 1}]
    job = system.finished(
        system.submit(
            file,
            {"op": "transcode", "format": "wav", "edits": edits},
            {"op": "split", "every_seconds": 2, "format": "flac", "edits": edits},
            {"op": "acx", "edits": edits},
        )["id"]
    )
    assert job["error_message"] is None
    assert job["operations"][0]["edits"][1]["out_seconds"] == 1
    assert [part["end_seconds"] for part in job["results"]["split"]["parts"]] == [2, 4, 4.5]
    assert not job["results"]["acx"]["passed"]
    names = ["split-001.flac", "split-002.flac", "split-003.flac", "split.json", "transcode.wav"]
    assert [artifact["name"] for artifact in job["artifacts"]] == names
    seconds = {}
    for name in set(names) - {"split.json"}:
        (tmp_path / name).write_bytes(system.artifact(job, name))
        last = ffmpeg("-i", tmp_path / name, "-f", "null", "-").rsplit("time=", 1)[1]
        seconds[name] = float(last.split()[0].rsplit(":", 1)[1])
    assert seconds == {"split-001.flac": 2, "split-002.flac": 2, "split-003.flac": 0.5, "transcode.wav": 4.5}


def test_edits_that_leave_nothing_fail_the_job_with_a_sentence(system: System, tmp_path: Path) -> None:
    file = noise(tmp_path / "noise.flac", seconds=1)
    edits = [{"edit": "trim", "start_seconds": 2}]
    job = system.finished(system.submit(file, {"op": "transcode", "format": "mp3", "edits": edits})["id"])
    assert (job["status"], job["error_code"]) == ("failed", "nothing_left")
    assert job["error_message"].startswith("The edits leave nothing of the audio")


def truncated_mp3(folder: Path) -> bytes:
    whole = folder / "whole.mp3"
    ffmpeg("-i", recording(), "-c:a", "libmp3lame", "-b:a", "128k", whole)
    data = whole.read_bytes()
    return data[: len(data) * 2 // 5]


def picture(folder: Path) -> bytes:
    path = folder / "x.png"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:d=1", "-frames:v", "1", path)
    return path.read_bytes()


def no_audio(kind: str, folder: Path) -> bytes:
    match kind:
        case "text":
            return b"It was the best of times, it was the worst of times.\n" * 100
        case "truncated":
            return truncated_mp3(folder)
        case "picture":
            return picture(folder)
        case _:
            return b""


@pytest.mark.parametrize(
    ("kind", "words"),
    [("text", "audio"), ("empty", "empty"), ("truncated", "cut short"), ("picture", "audio")],
)
def test_what_is_no_audio_ends_as_failed_with_a_sentence(system: System, tmp_path: Path, kind: str, words: str) -> None:
    job = system.finished(system.submit(no_audio(kind, tmp_path), *ALL_FIVE)["id"])
    assert job["status"] == "failed"
    message = job["error_message"]
    assert words in message.lower()
    assert message.endswith(".")
    assert "Traceback" not in message
    assert job["artifacts"] == []
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failed"], "a bad file is not tried again"
    # The worker lives on.
    assert system.finished(system.submit(recording(), {"op": "probe"})["id"])["status"] == "succeeded"


def test_no_files_of_ended_jobs_are_left_in_the_scratch_folder(system: System) -> None:
    system.finished(system.submit(recording(), *ALL_FIVE)["id"])
    assert system.scratch_files() == []
