"""The engine from a shell."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from services.worker.audio.cli import main
from tests.unit.audio.independent import measure
from tests.unit.audio.signals import save, sine


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Five seconds at -23 LUFS."""
    return save(tmp_path / "tone.wav", sine(1000, -23, 5))


def test_as_a_program(tone: Path) -> None:
    command = [sys.executable, "-m", "services.worker.audio", str(tone), "--loudness", "--json"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert json.loads(done.stdout)["loudness"]["integrated_lufs"] == pytest.approx(-23, abs=0.1)
    assert done.stderr == b""


def test_without_operations_it_measures(tone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tone)]) == 0
    output = capsys.readouterr().out
    assert "integrated_lufs" in output
    assert "duration_seconds" in output


def test_outputs_go_where_they_were_asked_to(tone: Path, tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("a.dat", "b.json", "c.mp3", "d.m4a", "e.flac", "f.json", "g.png")]
    options = ("--waveform", "--waveform", "--transcode", "--transcode", "--normalize", "--silence", "--spectrogram")
    wanted = [part for option, target in zip(options, targets, strict=True) for part in (option, str(target))]
    assert (
        main(
            [str(tone), *wanted, "--target", "-20", "--bits", "16", "--threshold", "-20", "--size", "64x32", "--quiet"]
        )
        == 0
    )
    assert all(target.stat().st_size > 0 for target in targets)
    assert json.loads(targets[1].read_text())["bits"] == 16
    assert json.loads(targets[5].read_text())["silent_seconds"] == 5
    assert targets[6].read_bytes()[16:24] == struct.pack(">II", 64, 32)
    assert measure(targets[4]).integrated_lufs == pytest.approx(-20, abs=0.1)


def test_no_audio_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("Not a sound.\n" * 100)
    assert main([str(tmp_path / "a.txt")]) == 1
    assert capsys.readouterr().err == "Not an audio file: no audio stream was found.\n"


def test_missing_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.wav")]) == 1
    assert capsys.readouterr().err.startswith("No such file or directory: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--transcode", "a.xyz"],
        ["--waveform", "a.png"],
        ["--silence", "a.txt"],
        ["--spectrogram", "a.jpg"],
        ["--spectrogram", "a.png", "--size", "big"],
        ["--normalize", "a.mp3", "--bitrate", "999"],
    ],
)
def test_wrong_arguments(tone: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([str(tone), *arguments])
    assert caught.value.code == 2
    assert "error: " in capsys.readouterr().err
