"""How a run behaves: progress, cancelling, trouble of the machine, what is left behind, the scratch file."""

import itertools
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio import errors
from services.worker.audio.encoders import Labels, open_encoder, plan_encoding
from services.worker.audio.engine import process
from services.worker.audio.pcm import Block, Pcm, Resolution, Samples
from services.worker.audio.pipeline import Control, run_pass
from services.worker.audio.spool import Spool
from shared.schema.operations import (
    AnyOperation,
    AudioFormat,
    Loudness,
    Normalize,
    Probe,
    Silence,
    Spectrogram,
    Transcode,
    Waveform,
)
from tests.unit.audio.signals import recording, save, voice_like

EVERYTHING: tuple[AnyOperation, ...] = (
    Probe(),
    Loudness(),
    Waveform(formats=("dat", "json")),
    Spectrogram(),
    Silence(),
    *(Transcode(name=f"to-{form}", format=form) for form in ("mp3", "opus", "flac")),
    Normalize(format="opus", target_lufs=-20),
)


@pytest.fixture(scope="module")
def minute(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of stereo."""
    return save(tmp_path_factory.mktemp("minute") / "a.flac", voice_like(60, 48_000, 2), 48_000, "flac")


def nothing_is_left(output: Path) -> bool:
    return not list(output.iterdir()) and not [t for t in threading.enumerate() if t.name in {"decode", "encode"}]


def test_progress_rises_to_the_end(minute: Path, tmp_path: Path) -> None:
    threads: set[int] = set()
    fractions: list[float] = []
    moments: list[float] = [time.monotonic()]

    def note(fraction: float) -> None:
        fractions.append(fraction)
        moments.append(time.monotonic())
        threads.add(threading.get_ident())

    process(minute, EVERYTHING, tmp_path, on_progress=note)
    assert threads == {threading.get_ident()}
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert fractions[-1] == 1
    assert len({round(fraction, 2) for fraction in fractions}) > 10
    # Every quarter of a second; more is allowed for a machine that is busy with other tests.
    assert max(later - earlier for earlier, later in itertools.pairwise(moments)) < 1.0


@pytest.mark.parametrize("polls", [0, 1, 2, 3, 5])
def test_cancelled_at_any_time(minute: Path, tmp_path: Path, polls: int) -> None:
    asked: list[float] = []

    def is_cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > polls

    with pytest.raises(errors.Cancelled):
        process(minute, EVERYTHING, tmp_path, is_cancelled=is_cancelled)
    assert time.monotonic() - asked[-1] < 1.5
    assert nothing_is_left(tmp_path)


def test_cancelled_in_the_second_pass(minute: Path, tmp_path: Path) -> None:
    reached: list[float] = []

    def second_pass_is_running() -> bool:
        return bool(list(tmp_path.glob("normalize.*")))

    with pytest.raises(errors.Cancelled):
        process(minute, EVERYTHING, tmp_path, on_progress=reached.append, is_cancelled=second_pass_is_running)
    assert reached[-1] > 0.4
    assert nothing_is_left(tmp_path)


def test_callback_that_fails_ends_the_run(minute: Path, tmp_path: Path) -> None:
    def note(fraction: float) -> None:
        if fraction > 0.1:
            raise ConnectionError("the database is gone")

    with pytest.raises(ConnectionError, match="database"):
        process(minute, EVERYTHING, tmp_path, on_progress=note)
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac", "wav"])
@pytest.mark.parametrize("op", ["transcode", "normalize"])
def test_full_disk_is_trouble_of_the_machine(tmp_path: Path, audio_format: str, op: str) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(recording().read_bytes())
    output = tmp_path / "out"
    output.mkdir()
    operation: AnyOperation = Transcode(format=audio_format)
    if op == "normalize":
        operation = Normalize(format=audio_format)
    # A file of this process may not grow beyond 100 kB, which the encoders meet as they would a full disk.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"[Ff]ile too large"):
            process(source, (operation,), output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert nothing_is_left(output)


@contextmanager
def no_room_for_threads() -> Iterator[None]:
    """A stack of 64 TiB: no address space has room for it."""
    usual = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(usual)


@pytest.mark.parametrize("audio_format", ["mp3", "flac"])
def test_no_room_for_a_thread_is_trouble_of_the_machine(tmp_path: Path, audio_format: AudioFormat) -> None:
    pcm = Pcm(48_000, ("FL", "FR"), Resolution.INT16)
    encoder = open_encoder(tmp_path / "a", plan_encoding(Transcode(format=audio_format), pcm), Labels(), dither=False)
    with no_room_for_threads(), pytest.raises(MemoryError):
        encoder.write(np.zeros((2, 1000), np.float32))
    encoder.abort()


def test_no_room_for_the_threads_of_a_pass_is_trouble_of_the_machine(tmp_path: Path, minute: Path) -> None:
    output = tmp_path / "out"
    output.mkdir()
    with no_room_for_threads(), pytest.raises(MemoryError):
        process(minute, EVERYTHING, output)
    assert nothing_is_left(output)


def test_missing_file_and_missing_directory_are_trouble_of_the_machine(tmp_path: Path, minute: Path) -> None:
    with pytest.raises(FileNotFoundError):
        process(tmp_path / "a.wav", EVERYTHING, tmp_path)
    with pytest.raises(FileNotFoundError):
        process(minute, EVERYTHING, tmp_path / "out")


def test_bad_file_fails_all_and_leaves_nothing(tmp_path: Path) -> None:
    source = save(tmp_path / "a.flac", voice_like(20, 48_000, 2), 48_000, "flac")
    source.write_bytes(source.read_bytes()[:-200_000])
    output = tmp_path / "out"
    output.mkdir()
    with pytest.raises(errors.TruncatedFile):
        process(source, EVERYTHING, output)
    assert nothing_is_left(output)


def test_names_are_keys_and_stems(tmp_path: Path, minute: Path) -> None:
    operations = (Waveform(), Waveform(name="overview", samples_per_pixel=4096), Probe(), Probe())
    report = process(minute, operations, tmp_path)
    assert list(report.results) == ["waveform", "overview", "probe", "probe-2"]
    assert [artifact.name for artifact in report.artifacts] == ["waveform.dat", "overview.dat"]
    assert [artifact.path for artifact in report.artifacts] == [tmp_path / "waveform.dat", tmp_path / "overview.dat"]


def test_the_same_twice_is_the_same(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(5, 48_000, 2), 48_000, "pcm_s24le")
    files = []
    for number in range(2):
        output = tmp_path / f"out-{number}"
        output.mkdir()
        process(source, (Normalize(format="wav"), Waveform(), Transcode(format="mp3")), output)
        files.append({path.name: path.read_bytes() for path in output.iterdir()})
    assert files[0] == files[1]


@pytest.mark.parametrize("resolution", list(Resolution))
def test_spool_gives_back_what_it_was_given(tmp_path: Path, resolution: Resolution) -> None:
    random = np.random.default_rng(3)
    steps = random.integers(-32768, 32768, (2, 131_072 + 777)) / 32768
    noise = random.normal(size=steps.shape)
    whole: Samples = (steps if resolution is Resolution.INT16 else noise).astype(np.float32)
    spool = Spool(tmp_path / "spool", Pcm(48_000, ("FL", "FR"), resolution))
    spool.add(whole[:, :131_072])
    spool.add(whole[:, 131_072:])
    spool.finish()
    for _ in range(2):
        blocks = list(spool.blocks())
        assert np.array_equal(np.concatenate([block.samples for block in blocks], axis=1), whole)
        assert blocks[-1].position == 1
    size = 2 if resolution is Resolution.INT16 else 4
    assert (tmp_path / "spool").stat().st_size == whole.size * size


def test_pass_raises_what_a_consumer_raised_and_stops() -> None:
    class Broken:
        def add(self, samples: Samples) -> None:
            raise OSError("no space")

        def finish(self) -> None:
            raise AssertionError("it failed before")

    def blocks() -> Iterator[Block]:
        while True:
            yield Block.ready(np.zeros((1, 10), np.float32), 0.5)

    with pytest.raises(OSError, match="no space"):
        run_pass(blocks(), (), (Broken(),), Control(lambda fraction: None, lambda: False))
