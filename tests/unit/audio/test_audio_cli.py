"""The engine from a shell."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from services.worker.audio.cli import main
from tests.unit.audio.independent import ffmpeg, measure
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
