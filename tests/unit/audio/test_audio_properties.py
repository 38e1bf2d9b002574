"""Anything that may come: random formats and lengths, and real files with random damage."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.worker.audio.engine import process
from services.worker.audio.errors import AudioError, EmptyFile
from services.worker.audio.loudness import LoudnessMeter
from services.worker.audio.pcm import Pcm, Resolution
from services.worker.audio.resample import Resampler
from shared.schema.operations import AnyOperation, Loudness, Normalize, Probe, Silence, Spectrogram, Transcode, Waveform
from tests.unit.audio.independent import read_with_rate
from tests.unit.audio.signals import save, sine, voice_like

OPERATIONS: tuple[AnyOperation, ...] = (
    Probe(cover_art=True),
    Loudness(series=("csv", "json"), replay_gain=True),
    Waveform(formats=("dat", "json", "png", "svg"), split_channels=True),
    Spectrogram(axes=True),
    Silence(),
    Transcode(format="mp3", quality=4),
    Transcode(format="alac", loudness_tags=True),
    Normalize(format="flac"),
)
UNHURRIED = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])


LAYOUTS = (
    *("mono", "stereo", "downmix", "2.1", "3.0", "3.0(back)", "4.0", "quad", "quad(side)", "3.1", "5.0", "5.0(side)"),
    *("4.1", "5.1", "5.1(side)", "6.0", "6.0(front)", "hexagonal", "6.1", "6.1(back)", "7.0", "7.1", "7.1(wide)"),
    "octagonal",
)


@UNHURRIED
@given(
    rate=st.one_of(
        st.sampled_from([60, 1_000, 3_300, 4_000, 8_000, 11_025, 32_000, 37_800, 48_000, 96_000, 192_000, 384_000]),
        st.integers(50, 384_000),
    ),
    layout=st.sampled_from(LAYOUTS),
    codec=st.sampled_from(["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_mulaw"]),
    frames=st.one_of(st.integers(0, 3), st.integers(0, 20_000)),
)
def test_any_wav(rate: int, layout: str, codec: str, frames: int) -> None:
    signal = voice_like(frames / rate, rate, 2)[:, :frames]
    with tempfile.TemporaryDirectory() as directory:
        source = save(Path(directory) / "a.wav", signal, rate, codec, "-ch_layout", layout)
        if not frames:
            with pytest.raises(EmptyFile):
                process(source, OPERATIONS, Path(directory))
            return
        report = process(source, OPERATIONS, Path(directory))
        assert report.audio_seconds * rate == pytest.approx(frames)
        for result in report.results.values():
            result.model_dump_json()
        for artifact in report.artifacts:
            if artifact.path.suffix in {".flac", ".m4a"}:
                written, written_rate = read_with_rate(artifact.path)
                assert written.shape[1] == pytest.approx(max(1, frames * written_rate / rate), abs=3), artifact.name


@UNHURRIED
@given(
    pieces=st.lists(st.integers(0, 30_000), min_size=1, max_size=8),
    rate=st.sampled_from([8_000, 22_050, 44_100, 48_000, 96_000]),
)
def test_measurement_does_not_depend_on_where_blocks_end(pieces: list[int], rate: int) -> None:
    pcm = Pcm(rate, ("FL", "FR"), Resolution.FLOAT)
    whole = voice_like(max(sum(pieces), 1) / rate, rate, 2).astype(np.float32)
    at_once, in_pieces = LoudnessMeter(pcm), LoudnessMeter(pcm)
    at_once.add(whole)
    start = 0
    for piece in pieces:
        in_pieces.add(whole[:, start : start + piece])
        start += piece
    in_pieces.add(whole[:, start:])
    at_once.finish()
    in_pieces.finish()
    one, other = vars(at_once.measurement()), vars(in_pieces.measurement())
    assert one == pytest.approx(other, abs=1e-6)


@UNHURRIED
@given(pieces=st.lists(st.integers(1, 20_000), min_size=1, max_size=6), rates=st.permutations([8_000, 44_100, 48_000]))
def test_resampled_length(pieces: list[int], rates: list[int]) -> None:
    resampler = Resampler(rates[0], rates[1], 2)
    got = sum(resampler.resample(np.zeros((2, piece), np.float32)).shape[1] for piece in pieces)
    got += resampler.flush().shape[1]
    assert abs(got - sum(pieces) * rates[1] / rates[0]) <= 1


@cache
def real_file(encoding: str) -> bytes:
    """A few seconds in a format, to be damaged."""
    names = {"libmp3lame": "a.mp3", "flac": "a.flac", "libopus": "a.opus", "aac": "a.m4a", "pcm_s16le": "a.wav"}
    with tempfile.TemporaryDirectory() as directory:
        return save(
            Path(directory) / names[encoding], sine(440, -12, 2) + 0.1 * voice_like(2, 48_000, 2), 48_000, encoding
        ).read_bytes()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    encoding=st.sampled_from(["libmp3lame", "flac", "libopus", "aac", "pcm_s16le"]),
    hits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=12),
    in_header=st.booleans(),
    cut=st.floats(0, 1),
)
def test_damage_is_an_audio_error_or_nothing(
    encoding: str, hits: list[tuple[float, int]], in_header: bool, cut: float
) -> None:
    content = bytearray(real_file(encoding))
    for place, change in hits:
        content[int(place * (200 if in_header else len(content)))] ^= change
    if cut < 0.5:
        content = content[: int(len(content) * (0.5 + cut))]
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "a"
        source.write_bytes(content)
        output = Path(directory) / "out"
        output.mkdir()
        try:
            process(source, OPERATIONS, output)
        except AudioError:
            assert not list(output.iterdir())
