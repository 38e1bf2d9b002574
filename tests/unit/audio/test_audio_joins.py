"""Further inputs: joined with the first, at its rate and in its layout; faults in them, and how long they may be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.audio import errors
from services.worker.audio.edits import Holds
from services.worker.audio.edits import hold as hold_module
from services.worker.audio.engine import Extra, Limits, process
from shared.schema.operations import Loudness, Transcode, operations_adapter
from tests.unit.audio.editing import edited
from tests.unit.audio.independent import ffmpeg, read, read_with_rate
from tests.unit.audio.signals import save, sine, voice_like

RATE = 44_100


def joining(*edits: dict[str, Any], audio_format: str = "flac") -> Any:
    return operations_adapter.validate_python(
        [{"op": "transcode", "name": "b", "format": audio_format, "edits": edits}]
    )


def test_concatenated_is_one_after_another_bit_for_bit(tmp_path: Path) -> None:
    parts = [save(tmp_path / f"{n}.flac", voice_like(n + 0.5, RATE, 2, seed=n), RATE, "flac") for n in range(1, 4)]
    extras = {"second": Extra(parts[1]), "third": Extra(parts[2])}
    process(
        parts[0], joining({"edit": "concatenate", "inputs": ["second", "third", "second"]}), tmp_path, extras=extras
    )
    first, second, third = map(read, parts)
    joined, rate = read_with_rate(tmp_path / "b.flac")
    assert rate == RATE
    assert np.array_equal(joined, np.concatenate((first, second, third, second), axis=1))
    # Still 16 bits: nothing was added that would want more, or be dithered.
    assert "s16" in ffmpeg("-i", tmp_path / "b.flac", "-f", "null", "-").stderr.decode()


def test_intro_and_outro(tmp_path: Path) -> None:
    main, jingle = (
        save(tmp_path / f"{name}.flac", voice_like(1.5, RATE, 1), RATE, "flac") for name in ("main", "jingle")
    )
    edits = ({"edit": "intro", "input": "jingle"}, {"edit": "outro", "input": "jingle"})
    process(main, joining(*edits), tmp_path, extras={"jingle": Extra(jingle)})
    samples, jingling = read(main), read(jingle)
    assert np.array_equal(read(tmp_path / "b.flac"), np.concatenate((jingling, samples, jingling), axis=1))


def test_crossfade_is_of_equal_power(tmp_path: Path) -> None:
    outgoing, incoming = np.full((1, 8000), 0.5), np.full((1, 6000), -0.25)
    second = save(tmp_path / "second.wav", incoming, 1000, "pcm_f32le")
    edit = {"edit": "concatenate", "inputs": ["second"], "crossfade_seconds": 2}
    joined = edited(tmp_path, outgoing, 1000, edit, extras={"second": second})
    assert joined.shape == (1, 8000 + 6000 - 2000)
    position = np.arange(2000) / 2000 * np.pi / 2
    expected = 0.5 * np.cos(position) - 0.25 * np.sin(position)
    assert joined[0, 6000:8000] == pytest.approx(expected, abs=1e-6)
    assert np.all(joined[0, :6000] == 0.5)
    assert np.all(joined[0, 8000:] == -0.25)


def test_crossfade_is_that_of_ffmpeg(tmp_path: Path) -> None:
    second = save(tmp_path / "second.wav", voice_like(4, RATE, 2, seed=5), RATE, "pcm_f32le")
    edit = {"edit": "outro", "input": "second", "crossfade_seconds": 3.5}
    ours = edited(tmp_path, voice_like(5, RATE, 2), RATE, edit, extras={"second": second})
    graph = "acrossfade=d=3.5:c1=qsin:c2=qsin"
    inputs = ("-i", tmp_path / "signal.wav", "-i", second)
    ffmpeg(*inputs, "-filter_complex", graph, "-c:a", "pcm_f32le", tmp_path / "theirs.wav")
    theirs = read(tmp_path / "theirs.wav")
    assert ours.shape == theirs.shape
    # FFmpeg begins a cross-fade a sample away from where it begins a fade.
    assert np.abs(ours - theirs).max() < 1e-4


def test_crossfade_longer_than_an_input_is_as_long_as_that(tmp_path: Path) -> None:
    jingle = save(tmp_path / "jingle.wav", np.full((1, 500), 0.25), 1000, "pcm_f32le")
    edit = {"edit": "intro", "input": "jingle", "crossfade_seconds": 10}
    joined = edited(tmp_path, np.full((1, 2000), 0.5), 1000, edit, extras={"jingle": jingle})
    position = np.arange(500) / 500 * np.pi / 2
    assert joined.shape == (1, 2000)
    assert joined[0, :500] == pytest.approx(0.25 * np.cos(position) + 0.5 * np.sin(position), abs=1e-6)


def test_further_inputs_come_in_the_rate_and_layout_of_the_first(tmp_path: Path) -> None:
    main = save(tmp_path / "main.wav", sine(440, -20, 2, RATE, 2), RATE)
    jingle = save(tmp_path / "jingle.flac", sine(1000, -12, 3, 22_050, 1), 22_050, "flac")
    process(main, joining({"edit": "intro", "input": "jingle"}), tmp_path, extras={"jingle": Extra(jingle)})
    joined, rate = read_with_rate(tmp_path / "b.flac")
    assert (rate, joined.shape) == (RATE, (2, 5 * RATE))
    # Mono goes to both channels unchanged, but for the dither of each; 1 kHz stays 1 kHz, at its level.
    assert np.abs(joined[0, : 3 * RATE] - joined[1, : 3 * RATE]).max() <= 4 / 32768
    expected = sine(1000, -12, 3, RATE, 1)[0, RATE : 2 * RATE]
    assert np.abs(joined[0, RATE : 2 * RATE] - expected).max() <= 3 / 32768


def test_a_name_that_was_not_given_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not given: jingle"):
        process(tmp_path / "does not exist", joining({"edit": "intro", "input": "jingle"}), tmp_path)


def test_what_is_wrong_with_a_further_input_is_said_of_it(tmp_path: Path) -> None:
    main = save(tmp_path / "main.flac", voice_like(20, 48_000, 2), 48_000, "flac")
    cut = tmp_path / "cut.flac"
    cut.write_bytes(main.read_bytes()[:-100_000])
    text = tmp_path / "text"
    text.write_text("no audio " * 100)
    output = tmp_path / "out"
    output.mkdir()
    for broken, kind in ((cut, errors.TruncatedFile), (text, errors.AudioError)):
        with pytest.raises(kind, match=r"^Input jingle: .*\.$"):
            process(main, joining({"edit": "intro", "input": "jingle"}), output, extras={"jingle": Extra(broken)})
        assert not list(output.iterdir())


def test_limits_hold_for_all_inputs_together(tmp_path: Path) -> None:
    main = save(tmp_path / "main.wav", voice_like(5, 8000, 1), 8000)
    jingle = save(tmp_path / "jingle.wav", voice_like(4, 8000, 1), 8000)
    surround = save(tmp_path / "surround.wav", voice_like(1, 8000, 6), 8000)
    extras = {"jingle": Extra(jingle), "surround": Extra(surround)}
    once = joining({"edit": "intro", "input": "jingle"}, audio_format="wav")
    twice = joining({"edit": "concatenate", "inputs": ["jingle", "jingle"]}, audio_format="wav")
    nine_seconds = Limits(decoded_samples=9 * 8000)
    process(main, once, tmp_path, extras=extras, limits=nine_seconds)
    with pytest.raises(errors.TooLong, match="all inputs together"):
        process(main, twice, tmp_path, extras=extras, limits=nine_seconds)
    with pytest.raises(errors.TooManyChannels, match="Input surround"):
        process(
            main,
            joining({"edit": "intro", "input": "surround"}),
            tmp_path,
            extras=extras,
            limits=Limits(channels=2),
        )
    # What no operation needs is not looked at.
    process(main, (Loudness(),), tmp_path, extras=extras, limits=Limits(channels=2))


def test_a_long_wait_is_spent_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold_module, "_MOST_BYTES", 1000)
    numbers = np.arange(20_000, dtype=np.float32).reshape(2, -1)
    holds = Holds(tmp_path)
    hold, other = holds.hold(), holds.hold()
    for start in range(0, 10_000, 50):
        hold.put(numbers[:, start : start + 50])
    assert hold.frames == 10_000
    # 400 bytes each: two stay in memory, which is shared by all holds.
    assert len(list(tmp_path.iterdir())) == 198
    other.put(numbers[:, :50])
    assert len(list(tmp_path.iterdir())) == 199
    other.drop(50)
    assert np.array_equal(hold.take_whole(130), numbers[:, :130])
    hold.drop(4001)
    assert np.array_equal(hold.take_whole(3000), numbers[:, 4131:7131])
    assert hold.frames == 10_000 - 7131
    assert np.array_equal(np.concatenate(list(hold.take(10**9)), axis=1), numbers[:, 7131:])
    assert hold.frames == 0
    assert not list(tmp_path.iterdir())
    # All of the memory is free again.
    hold.put(numbers[:, :100])
    hold.put(numbers[:, :25])
    assert not list(tmp_path.iterdir())


def test_edits_through_the_disk_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signal = voice_like(12, RATE, 2)
    jingle = save(tmp_path / "jingle.wav", voice_like(9, RATE, 2, seed=9), RATE, "pcm_f32le")
    edits = ({"edit": "fade", "out_seconds": 8}, {"edit": "intro", "input": "jingle", "crossfade_seconds": 7})
    in_memory = edited(tmp_path, signal, RATE, *edits, extras={"jingle": jingle})
    monkeypatch.setattr(hold_module, "_MOST_BYTES", 0)
    assert np.array_equal(edited(tmp_path, signal, RATE, *edits, extras={"jingle": jingle}), in_memory)


def test_transcode_without_edits_is_as_before(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", voice_like(1, RATE, 2), RATE, "flac")
    process(source, (Transcode(format="flac"),), tmp_path)
    assert np.array_equal(read(tmp_path / "transcode.flac"), read(source))
