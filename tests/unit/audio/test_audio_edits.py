"""Edits that cut and fade: right to the sample, against arithmetic and FFmpeg's own filters."""

import itertools
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.worker.audio import errors
from services.worker.audio.edits import Chain, Holds
from services.worker.audio.edits import hold as hold_module
from services.worker.audio.engine import process
from services.worker.audio.inputs import Inputs
from services.worker.audio.limits import Limits
from services.worker.audio.pcm import Block, Pcm, Resolution
from shared.schema.edits import AnyEdit
from shared.schema.operations import Loudness, Normalize, Probe, Transcode, Waveform, operations_adapter
from shared.schema.results import LoudnessResult, WaveformResult
from tests.peak_memory import peak_mib
from tests.unit.audio.editing import edited, largest_step
from tests.unit.audio.independent import ffmpeg, measure, read
from tests.unit.audio.signals import save, silence, sine, voice_like

RATE = 44_100


@pytest.mark.parametrize(
    ("trim", "start", "end"),
    [
        # 0.1234567 s x 44,100 Hz is 5444.4 frames, 5.4321 s 239,555.6.
        ({"start_seconds": 0.1234567, "end_seconds": 5.4321}, 5444, 239_556),
        ({"start_seconds": 0.1234567, "duration_seconds": 1}, 5444, 5444 + 44_100),
        ({"start_seconds": 3.2}, 141_120, 7 * 44_100),
        ({"end_seconds": 3.2}, 0, 141_120),
        ({"start_seconds": 6.5, "end_seconds": 100}, 286_650, 7 * 44_100),
    ],
)
def test_trim_is_right_to_the_sample(tmp_path: Path, trim: dict[str, float], start: int, end: int) -> None:
    signal = voice_like(7, RATE, 2)
    whole = signal.astype(np.float32)
    assert np.array_equal(edited(tmp_path, signal, RATE, {"edit": "trim", **trim}), whole[:, start:end])


def test_what_trim_takes_of_integers_is_unchanged(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", voice_like(2, RATE, 2), RATE, "flac")
    operations = operations_adapter.validate_python(
        [{"op": "transcode", "name": "b", "format": "flac", "edits": [{"edit": "trim", "start_seconds": 0.5}]}]
    )
    process(source, operations, tmp_path)
    assert np.array_equal(read(tmp_path / "b.flac"), read(source)[:, RATE // 2 :])


def test_behind_the_end_of_a_trim_nothing_is_decoded(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", silence(600, 8000, 1), 8000)
    trim = TypeAdapter(AnyEdit).validate_python({"edit": "trim", "start_seconds": 1, "duration_seconds": 2})
    preview = Transcode(format="wav", edits=(trim,))
    assert process(source, (preview,), tmp_path).audio_seconds < 400
    # A probe wants to know how long it is.
    report = process(source, (preview, Probe()), tmp_path)
    assert report.audio_seconds == 600
    assert read(tmp_path / "transcode.wav").shape == (1, 2 * 8000)


@pytest.mark.parametrize(
    "edits",
    [
        [{"edit": "trim", "start_seconds": 4}],
        [{"edit": "trim_silence", "threshold_dbfs": 0}],
        [{"edit": "fade", "in_seconds": 1}, {"edit": "trim", "start_seconds": 4}],
    ],
)
def test_edits_that_leave_nothing_are_an_error(tmp_path: Path, edits: list[dict[str, Any]]) -> None:
    source = save(tmp_path / "a.wav", sine(440, -20, 3))
    output = tmp_path / "out"
    output.mkdir()
    with pytest.raises(errors.NothingLeft, match="nothing of the audio"):
        process(
            source, operations_adapter.validate_python([{"op": "transcode", "format": "mp3", "edits": edits}]), output
        )
    assert not list(output.iterdir())


@pytest.mark.parametrize(("curve", "of_ffmpeg"), [("linear", "tri"), ("quarter_sine", "qsin"), ("exponential", "exp")])
def test_fades_are_those_of_ffmpeg(tmp_path: Path, curve: str, of_ffmpeg: str) -> None:
    signal = voice_like(7, RATE, 2)
    ours = edited(tmp_path, signal, RATE, {"edit": "fade", "in_seconds": 1.5, "out_seconds": 4, "curve": curve})
    filters = f"afade=t=in:d=1.5:curve={of_ffmpeg},afade=t=out:st=3:d=4:curve={of_ffmpeg}"
    ffmpeg("-i", tmp_path / "signal.wav", "-af", filters, "-c:a", "pcm_f32le", tmp_path / "theirs.wav")
    theirs = read(tmp_path / "theirs.wav")
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 1e-6


def test_fade_values_by_arithmetic(tmp_path: Path) -> None:
    level = np.full((1, 8000), 0.5)
    faded = edited(tmp_path, level, 1000, {"edit": "fade", "in_seconds": 2, "out_seconds": 4})[0]
    assert faded[[0, 1000, 2000, 3000, 4000, 6000]] == pytest.approx(
        [0, 0.5 * np.sin(np.pi / 4), 0.5, 0.5, 0.5, 0.5 * np.sin(np.pi / 4)], abs=1e-6
    )
    linear = edited(tmp_path, level, 1000, {"edit": "fade", "out_seconds": 4, "curve": "linear"})[0]
    assert linear[[0, 4000, 5000, 7000, 7999]] == pytest.approx([0.5, 0.5, 0.375, 0.125, 0.5 / 4000], abs=1e-6)


def test_fades_longer_than_the_audio_go_over_all_of_it(tmp_path: Path) -> None:
    level = np.full((1, 1000), 0.5)
    faded = edited(tmp_path, level, 1000, {"edit": "fade", "out_seconds": 60, "curve": "linear"})[0]
    assert faded == pytest.approx(0.5 * (1000 - np.arange(1000)) / 1000, abs=1e-6)
    rising = edited(tmp_path, level, 1000, {"edit": "fade", "in_seconds": 2, "curve": "linear"})[0]
    assert rising == pytest.approx(0.5 * np.arange(1000) / 2000, abs=1e-6)


def test_edits_are_done_in_the_order_given(tmp_path: Path) -> None:
    level = np.full((1, 8000), 0.5)
    fade, trim = {"edit": "fade", "in_seconds": 4, "curve": "linear"}, {"edit": "trim", "start_seconds": 2}
    assert edited(tmp_path, level, 1000, fade, trim)[0, 0] == pytest.approx(0.25)
    assert edited(tmp_path, level, 1000, trim, fade)[0, 0] == 0


def bursts(*lengths: float, rate: int = 8000, hum: float = 0.002) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Silence and sound in turn, each of a length in seconds; the silence hums at 50 Hz, below -50 dBFS."""
    parts = []
    for index, seconds in enumerate(lengths):
        times = np.arange(round(seconds * rate)) / rate
        sound = (
            0.3 * np.cos(2 * np.pi * 1000 * times + 0.3) if index % 2 else hum * np.sin(2 * np.pi * 50 * times + 0.5)
        )
        parts.append(sound)
    return np.concatenate(parts)[None]


@pytest.mark.parametrize(
    ("ends", "start", "end"),
    # Sound from 1.5 s to 4 s and from 5 s to 6 s of 40 s.
    [("both", 1.25, 6.25), ("start", 1.25, 40.0), ("end", 0, 6.25)],
)
def test_silence_at_the_ends_is_trimmed_to_the_sample(tmp_path: Path, ends: str, start: float, end: float) -> None:
    signal = bursts(1.5, 2.5, 1, 1, 34)
    edit = {"edit": "trim_silence", "threshold_dbfs": -45, "padding_seconds": 0.25, "ends": ends}
    expected = signal.astype(np.float32)[:, round(start * 8000) : round(end * 8000)]
    assert np.array_equal(edited(tmp_path, signal, 8000, edit), expected)


def test_padding_is_what_there_is(tmp_path: Path) -> None:
    signal = bursts(0.5, 2, 0.1)
    edit = {"edit": "trim_silence", "padding_seconds": 1}
    assert np.array_equal(edited(tmp_path, signal, 8000, edit), signal.astype(np.float32))


REMOVE = {"edit": "remove_silence", "threshold_dbfs": -45, "min_seconds": 1, "keep_seconds": 0.5}


def test_long_silences_between_sounds_are_shortened(tmp_path: Path) -> None:
    # Silences of 2 s, 0.9 s (too short), 30 s (longer than a block), and those of the ends, which stay.
    signal = bursts(3, 1, 2, 1, 0.9, 1, 30, 1, 4)
    short = edited(tmp_path, signal, 8000, REMOVE)
    assert short.shape == (1, round(8000 * (3 + 1 + 0.5 + 1 + 0.9 + 1 + 0.5 + 1 + 4)))
    whole = signal.astype(np.float32)
    # Up to 2.5 ms before the middle of what is kept of the first silence nothing is changed, and from 2.5 ms after.
    before, after = round(8000 * (4.25 - 0.0025)), round(8000 * (4.25 + 0.0025))
    assert np.array_equal(short[:, :before], whole[:, :before])
    sound_at = 8000 * 6
    assert np.array_equal(short[:, after : after + 8000], whole[:, sound_at - round(8000 * 0.2475) :][:, :8000])
    assert np.array_equal(short[:, -5 * 8000 :], whole[:, -5 * 8000 :])


def test_cuts_do_not_click(tmp_path: Path) -> None:
    signal = bursts(1, 1, 2.003, 1, 1.507, 1, 1)
    quiet = signal[:, round(8000 * 2.1) : round(8000 * 3.9)]
    natural = largest_step(quiet)
    # What is kept of the first silence lies from 2 s to 2.5 s.
    kept = slice(round(8000 * 2.05), round(8000 * 2.45))
    assert largest_step(edited(tmp_path, signal, 8000, REMOVE)[:, kept]) < 3 * natural
    # It would without the cross-fade.
    assert largest_step(edited(tmp_path, signal, 8000, {**REMOVE, "crossfade_seconds": 0})[:, kept]) > 10 * natural


CHAINS: list[list[dict[str, Any]]] = [
    [
        {"edit": "trim", "start_seconds": 0.1, "end_seconds": 1.9},
        {"edit": "fade", "in_seconds": 0.2, "out_seconds": 0.4},
    ],
    [{"edit": "trim_silence", "padding_seconds": 0.05}],
    [REMOVE | {"min_seconds": 0.1, "keep_seconds": 0.04}],
    [{"edit": "denoise"}],
]


@settings(max_examples=20, deadline=None)
@given(chain=st.sampled_from(CHAINS), sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=12))
def test_it_does_not_matter_how_the_audio_comes_in(
    tmp_path_factory: pytest.TempPathFactory, chain: list[dict[str, Any]], sizes: list[int]
) -> None:
    signal = bursts(0.3, 0.5, 0.4, 0.4, 0.5).astype(np.float32)
    edits = TypeAdapter(tuple[AnyEdit, ...]).validate_python(chain)
    scratch = tmp_path_factory.mktemp("chain")

    def run(sizes: list[int]) -> Any:
        bounds = np.minimum(np.cumsum([0, *(sizes * (1 + signal.shape[1] // sum(sizes)))]), signal.shape[1])
        blocks = (Block.ready(signal[:, a:b], 0.0) for a, b in itertools.pairwise(bounds) if b > a)
        own = Chain(edits, Pcm(8000, ("FC",), Resolution.FLOAT), Inputs({}, Limits()), Holds(scratch))
        return np.concatenate([block.samples for block in own.apply(blocks)], axis=1)

    assert np.array_equal(run(sizes), run([signal.shape[1]]))


def test_equal_edits_are_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Chain] = []
    apply = Chain.apply

    def counted(self: Chain, blocks: Any) -> Any:
        done.append(self)
        return apply(self, blocks)

    monkeypatch.setattr(Chain, "apply", counted)
    source = save(tmp_path / "a.wav", voice_like(4, 48_000, 2))
    edits = [{"edit": "trim", "start_seconds": 1, "end_seconds": 3}]
    operations = operations_adapter.validate_python(
        [
            {"op": "transcode", "format": "mp3", "edits": edits},
            {"op": "transcode", "format": "opus", "edits": edits},
            {"op": "normalize", "edits": edits},
            {"op": "transcode", "format": "wav", "edits": [*edits, {"edit": "fade", "in_seconds": 1}]},
            {"op": "transcode", "format": "flac"},
        ]
    )
    report = process(source, operations, tmp_path)
    assert len(done) == 2
    assert [read(tmp_path / artifact.name).shape[1] / 48_000 for artifact in report.artifacts] == [2, 2, 2, 2, 4]
    assert "edit" in {timing.step for timing in report.timings}


def test_measured_is_what_the_edits_leave(tmp_path: Path) -> None:
    # 10 s loud, 10 s quiet: of the quiet part alone, the target is 6 dB up.
    signal = np.concatenate((sine(1000, -10, 10), sine(1000, -26, 10)), axis=1)
    source = save(tmp_path / "a.wav", signal, 48_000, "pcm_s24le")
    trim = TypeAdapter(tuple[AnyEdit, ...]).validate_python([{"edit": "trim", "start_seconds": 10}])
    operations = (
        Normalize(target_lufs=-20, edits=trim),
        Loudness(edits=trim),
        Loudness(name="all"),
        Waveform(samples_per_pixel=480, edits=trim),
    )
    results = process(source, operations, tmp_path).results
    quiet, whole = results["loudness"], results["all"]
    assert isinstance(quiet, LoudnessResult)
    assert isinstance(whole, LoudnessResult)
    # A stereo sine of 1 kHz with a peak of -26 dBFS has -26 LUFS (Tech 3341, case 1).
    assert quiet.integrated_lufs == pytest.approx(-26, abs=0.1)
    assert whole.integrated_lufs == pytest.approx(measure(source).integrated_lufs, abs=0.1)
    assert measure(tmp_path / "normalize.flac").integrated_lufs == pytest.approx(-20, abs=0.1)
    assert isinstance(results["waveform"], WaveformResult)
    assert results["waveform"].length == 1000


@pytest.mark.parametrize(("codec", "bits"), [("pcm_s16le", "s16"), ("pcm_s24le", "(24 bit)")])
def test_edited_integers_keep_their_depth(tmp_path: Path, codec: str, bits: str) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, RATE, 2), RATE, codec)
    fade = [{"edit": "fade", "in_seconds": 0.5}]
    process(
        source, operations_adapter.validate_python([{"op": "transcode", "format": "flac", "edits": fade}]), tmp_path
    )
    assert bits in ffmpeg("-i", tmp_path / "transcode.flac", "-f", "null", "-").stderr.decode()


@pytest.mark.parametrize("operation", [{"op": "transcode"}, {"op": "normalize", "target_lufs": -70}])
def test_edited_integers_are_dithered(tmp_path: Path, operation: dict[str, Any]) -> None:
    """What is less than a step of 16 bits after a fade is there in the mean; rounded, it would be gone."""
    source = save(tmp_path / "a.wav", np.full((1, 8000), 1 / 32768), 8000)
    fade = [{"edit": "fade", "in_seconds": 1, "curve": "linear"}]
    process(source, operations_adapter.validate_python([{**operation, "format": "wav", "edits": fade}]), tmp_path)
    steps = read(tmp_path / f"{operation['op']}.wav")[0, 1000:3000] * 32768
    assert steps.mean() == pytest.approx(0.25, abs=0.05)


@pytest.fixture
def long_edits(tmp_path: Path) -> tuple[Path, Any]:
    """Half a minute, and work on it that ends in a second pass."""
    source = save(tmp_path / "a.flac", voice_like(30, 48_000, 2), 48_000, "flac")
    edits = [{"edit": "denoise"}, {"edit": "fade", "out_seconds": 20}]
    operations = [
        {"op": "normalize", "format": "mp3", "edits": edits},
        {"op": "split", "every_seconds": 5, "edits": edits},
    ]
    return source, operations_adapter.validate_python(operations)


@pytest.mark.parametrize("polls", [0, 2, 5])
def test_cancelled_while_it_edits(long_edits: tuple[Path, Any], tmp_path: Path, polls: int) -> None:
    output = tmp_path / "out"
    output.mkdir()
    asked: list[float] = []

    def is_cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > polls

    with pytest.raises(errors.Cancelled):
        process(*long_edits, output, is_cancelled=is_cancelled)
    assert time.monotonic() - asked[-1] < 1.5
    assert not list(output.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name in {"decode", "encode"}]


def test_trouble_of_the_machine_while_it_edits_stays_that(
    long_edits: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    output.mkdir()
    monkeypatch.setattr(hold_module, "_MOST_BYTES", 0)

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        process(*long_edits, output)
    assert not list(output.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name in {"decode", "encode"}]


def test_what_waits_for_the_end_takes_no_memory(tmp_path: Path) -> None:
    """A fade-out over all of the audio: five minutes more of it are 55 MiB of samples more."""

    def peak(seconds: int) -> float:
        noise = f"anoisesrc=d={seconds}:c=pink:r=48000:a=0.2:seed=7"
        source = tmp_path / f"{seconds}.wav"
        ffmpeg("-f", "lavfi", "-i", noise, "-ac", "1", source)
        edits = [{"edit": "fade", "out_seconds": 600}, {"edit": "trim_silence"}, {"edit": "high_pass"}]
        return peak_mib(
            source, operations_adapter.validate_python([{"op": "transcode", "format": "wav", "edits": edits}])
        )

    # Half of what the samples would take; what malloc keeps differs by ten and more from run to run. Both are long
    # enough for blocks of the largest size.
    assert peak(500) < peak(200) + 27
