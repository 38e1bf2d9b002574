"""`make demo` processes a recording with the real stack, saves what it made, and leaves nothing running."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.unit.local.watching import processes_of, until

CHECKOUT = Path(__file__).parents[3]


@contextlib.contextmanager
def demo(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo whose temporary folder, and so every process of it, is below `folder`."""
    environment = {**os.environ, "TMPDIR": str(folder), "WAVEMILL_DATA_DIR": str(folder / "data"), "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.local.demo", *arguments],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        for left in processes_of(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()
        process.communicate()


def test_the_recording_is_processed_and_its_files_are_saved(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
        assert processes_of(tmp_path) == []
    # As ffmpeg 5.1's ebur128=peak=true and ffprobe say of the recording.
    for figure in ("44.37 s", "-35.7 LUFS", "5.2 LU", "-16.1 dBTP", "48000 Hz, mono"):
        assert figure in output
    saved = tmp_path / "data" / "demo" / "two_cities"
    assert f"The files are in {saved}/" in output
    assert {file.name for file in saved.iterdir()} == {
        *("mp3.mp3", "opus.opus", "master.flac", "waveform.dat", "waveform.json")
    }
    assert (saved / "master.flac").read_bytes().startswith(b"fLaC")
    assert (saved / "opus.opus").read_bytes().startswith(b"OggS")
    assert list(tmp_path.glob("wavemill-demo-*")) == []


def test_a_file_that_is_no_audio_ends_the_demo_with_a_sentence(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no audio")
    with demo(tmp_path, str(text)) as process:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 1
        assert output.startswith("The job failed: ")
        assert "no audio stream" in output
        assert output.count("\n") == 1
        assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere.wav"], "There is no file nowhere.wav.\n"),
        (["one.wav", "two.wav"], 'One file at a time: make demo FILE="my recording.wav"\n'),
    ],
)
def test_arguments_that_name_no_file_are_refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    with demo(tmp_path, *arguments) as process:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert output == sentence


def test_an_interrupt_ends_the_demo_and_all_of_its_processes(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        until(lambda: any("services.worker.app" in " ".join(left.cmdline()) for left in processes_of(tmp_path)))
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 130
        assert output == "The demo was stopped.\n"
        assert processes_of(tmp_path) == []
