"""The engine from a shell."""

import json
import os
import pty
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.cli import main
from tests.unit.audio.independent import ffmpeg, measure, read
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


def test_progress_is_a_bar_on_a_terminal(tone: Path) -> None:
    terminal, stderr = pty.openpty()
    command = [sys.executable, "-m", "services.worker.audio", str(tone), "--loudness", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, timeout=60, check=True)
    os.close(stderr)
    drawn = os.read(terminal, 65_536).decode().strip().split("\r")
    os.close(terminal)
    assert json.loads(done.stdout)["loudness"]["integrated_lufs"] == pytest.approx(-23, abs=0.1)
    assert drawn[-1] == f"[{'#' * 40}] 100%"
    shares = [int(bar.rpartition(" ")[2].rstrip("%")) for bar in drawn]
    assert shares == sorted(shares)


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


def test_everything_else_that_can_be_asked_for(tmp_path: Path) -> None:
    picture, sound = tmp_path / "art.png", save(tmp_path / "sound.wav", sine(1000, -23, 5))
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=120x90", "-frames:v", "1", picture)
    source = tmp_path / "a.flac"
    art = ("-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    ffmpeg("-i", sound, "-i", picture, *art, "-metadata", "artist=Ada", source)
    names = ("c.png", "s.csv", "w.svg", "w.dat", "g.png", "x.mp3", "x.m4a", "x.wav")
    cover, series, wave, data, spectrum, mp3, alac, wav = targets = [tmp_path / name for name in names]
    measured = ["--cover", cover, "--loudness-series", series, "--replay-gain"]
    drawn = ["--waveform", wave, "--waveform", data, "--wave-color", "#00ff00", "--fit-to-peak", "--split-channels"]
    drawn += ["--pixels-per-second", "50", "--spectrogram", spectrum, "--axes", "--size", "100x50", "--scale", "mel"]
    assert main([str(part) for part in (source, *measured, *drawn)]) == 0
    lossless = ["--transcode", wav, "--transcode", alac, "--alac", "--bit-depth", "24"]
    assert main([str(part) for part in (source, *lossless, "--no-tags", "--no-cover")]) == 0
    lossy = ["--transcode", mp3, "--quality", "5", "--loudness-tags", "--tag", "title=A = B"]
    assert main([str(part) for part in (source, *lossy)]) == 0
    assert all(target.stat().st_size > 0 for target in targets)
    assert cover.read_bytes() == picture.read_bytes()
    assert series.read_text().startswith("seconds,momentary_lufs,short_term_lufs")
    assert "#00ff00" in wave.read_text()
    assert struct.unpack("<iIiiIi", data.read_bytes()[:24]) == (2, 1, 48_000, 960, 250, 2)
    said = {path: ffmpeg("-i", path, "-f", "null", "-").stderr.decode() for path in (mp3, alac, wav)}
    assert "title           : A = B" in said[mp3]
    assert "artist          : Ada" in said[mp3]
    assert "REPLAYGAIN_TRACK_GAIN" in said[mp3]
    assert "attached pic" in said[mp3]
    assert "alac" in said[alac]
    assert "Ada" not in said[alac]
    assert "pcm_s24le" in said[wav]


def test_any_operation_with_further_inputs_and_presets(
    tone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = {"op": "split", "every_seconds": 4, "format": "flac", "edits": [{"edit": "intro", "input": "jingle"}]}
    jingle = save(tmp_path / "jingle.wav", sine(440, -20, 2))
    output = tmp_path / "new" / "folder"
    arguments = ["--operation", json.dumps(split), "--input", f"jingle={jingle}", "--preset", "podcast", "--json"]
    assert main([str(tone), *arguments, "--output", str(output)]) == 0
    names = ["podcast.mp3", "split-001.flac", "split-002.flac", "split.json"]
    assert sorted(path.name for path in output.iterdir()) == names
    results = json.loads(capsys.readouterr().out)
    assert [part["end_seconds"] for part in results["split"]["parts"]] == [4, 7]
    assert results["podcast"]["target_lufs"] == -16


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
        ["--waveform", "a.jpg"],
        ["--waveform", "a.png", "--wave-color", "red"],
        ["--waveform", "a.dat", "--samples-per-pixel", "9", "--pixels-per-second", "9"],
        ["--loudness-series", "a.txt"],
        ["--preset", "none"],
        ["--operation", "{"],
        ["--operation", '{"op": "loudness", "edits": [{"edit": "intro", "input": "jingle"}]}'],
        ["--transcode", "a.mp3", "--tag", "mood=blue"],
        ["--transcode", "a.mp3", "--tag", "title"],
        ["--transcode", "a.flac", "--quality", "2"],
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


def test_edits_come_before_those_of_a_preset(tone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--trim", "0:3", "--preset", "podcast", "--output", str(tmp_path), "--acx", "--json", "--quiet"]
    assert main([str(tone), *arguments]) == 0
    assert measure(tmp_path / "podcast.mp3").integrated_lufs == pytest.approx(-16, abs=0.15)
    results = json.loads(capsys.readouterr().out)
    assert results["podcast"]["duration_seconds"] == 3
    assert results["acx"]["rules"][3]["value"] == 3


@pytest.mark.parametrize(
    "wrong",
    [["--edit", "{"], ["--trim", "4:1"], ["--split", "a.mp3", "--at", "2,1"]],
)
def test_wrong_edits_are_wrong_arguments(tone: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tone), *wrong])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
