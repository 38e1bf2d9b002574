"""The engine from a shell."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.cli import main
from tests.unit.audio.independent import measure, read
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


def test_edits_are_done_in_the_order_given(tone: Path, tmp_path: Path) -> None:
    jingle = save(tmp_path / "jingle.wav", sine(500, -12, 2))
    out = tmp_path / "out.flac"
    edits = ["--trim", "1:4", "--intro", str(jingle), "--crossfade", "0.5", "--fade-out", "1", "--trim", ":4"]
    assert main([str(tone), *edits, "--edit", '{"edit": "high_pass"}', "--transcode", str(out), "--quiet"]) == 0
    # 3 s of the tone behind 2 s of jingle, half a second of both at once, and of that the first 4 s.
    samples = read(out)
    assert samples.shape == (2, 4 * 48_000)
    assert np.abs(samples[:, 48_000 : 2 * 48_000 - 24_000]).max() == pytest.approx(10 ** (-12 / 20), abs=0.01)
    # The fade, from 3.5 s on, was there before the last trim.
    assert np.abs(samples[:, -100:]).max() == pytest.approx(10 ** (-23 / 20) * np.sqrt(0.5), abs=0.002)


def test_parts_lie_beside_one_another(tone: Path, tmp_path: Path) -> None:
    assert main([str(tone), "--split", str(tmp_path / "part.mp3"), "--every", "2", "--quiet"]) == 0
    names = {path.name for path in tmp_path.iterdir()} - {tone.name}
    assert names == {"part-001.mp3", "part-002.mp3", "part-003.mp3", "part.json"}


def test_an_album(tone: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.wav", sine(1000, -33, 5))
    out = tmp_path / "out.flac"
    assert main([str(tone), "--album", str(other), "--normalize", str(out), "--target", "-20", "--quiet"]) == 0
    difference = measure(out).integrated_lufs - measure(tmp_path / "out-track-2.flac").integrated_lufs
    assert difference == pytest.approx(10, abs=0.1)


def test_a_preset(tone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.mp3"
    assert main([str(tone), "--trim", "0:3", "--preset", "podcast", str(out), "--acx", "--json", "--quiet"]) == 0
    assert measure(out).integrated_lufs == pytest.approx(-16, abs=0.15)
    results = json.loads(capsys.readouterr().out)
    assert results["podcast"]["duration_seconds"] == 3
    assert results["acx"]["op"] == "acx"


@pytest.mark.parametrize(
    "wrong",
    [["--preset", "tv", "a.mp3"], ["--edit", "{"], ["--trim", "4:1"], ["--split", "a.mp3", "--at", "2,1"]],
)
def test_wrong_edits_are_wrong_arguments(tone: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tone), *wrong])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
