"""Streams that do not keep to what they began with: parameters that change, times that jump, values that are no sound.

Each gives the right result or a clear error, and no figure that is not a number.
"""

import json
import tempfile
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.worker.audio.engine import process
from services.worker.audio.errors import AudioError
from services.worker.audio.report import Report
from shared.schema.operations import AnyOperation, Loudness, Normalize, Probe, Silence, Spectrogram, Transcode, Waveform
from tests.unit.audio.independent import read
from tests.unit.audio.signals import save, voice_like

OPERATIONS: tuple[AnyOperation, ...] = (
    *(Probe(), Loudness(), Waveform(formats=("json",)), Spectrogram(width=64, height=64), Silence()),
    *(Transcode(format="wav"), Normalize(format="flac")),
)
UNHURRIED = settings(deadline=None, max_examples=15, database=None, suppress_health_check=[HealthCheck.too_slow])
NO_SOUND = (float("nan"), float("inf"), float("-inf"), 3.4e38, -3.4e38, 1e-45, 1e6, -1e6)


def finite(report: Report) -> None:
    """Every figure is a number or null, and so is every sample that was written."""
    for result in report.results.values():
        json.dumps(result.model_dump(mode="json"), allow_nan=False)
    for artifact in report.artifacts:
        if artifact.path.suffix in {".wav", ".flac"}:
            assert np.isfinite(read(artifact.path)).all()


@UNHURRIED
@given(
    kind=st.tuples(st.sampled_from(["a.wav", "a.aiff", "a.caf", "a.w64", "a.mka"]), st.sampled_from([32, 64])),
    channels=st.sampled_from([1, 2, 6]),
    frames=st.integers(1, 3_000),
    values=st.lists(st.tuples(st.integers(0, 2_999), st.integers(0, 5), st.sampled_from(NO_SOUND)), max_size=20),
    everywhere=st.sampled_from([None, None, None, *NO_SOUND]),
)
def test_float_samples_that_are_no_sound(
    kind: tuple[str, int],
    channels: int,
    frames: int,
    values: list[tuple[int, int, float]],
    everywhere: float | None,
) -> None:
    signal = voice_like(frames / 8000, 8000, channels)
    if everywhere is not None:
        signal[:] = everywhere
    for frame, channel, value in values:
        signal[channel % channels, frame % frames] = value
    container, bits = kind
    order = "be" if container == "a.aiff" else "le"
    with tempfile.TemporaryDirectory() as name:
        source = save(Path(name) / container, signal, 8000, f"pcm_f{bits}{order}", "-strict", "-2")
        report = process(source, OPERATIONS, Path(name))
        assert report.audio_seconds * 8000 == pytest.approx(_written(container, frames, channels * bits // 8))
        finite(report)


def _written(container: str, frames: int, frame_bytes: int) -> int:
    """Frames that the file says it has: FFmpeg's writer of W64 pads to 8 bytes, and counts the padding as audio."""
    unit = 8 if container == "a.w64" else 1
    return -(-frames * frame_bytes // unit) * unit // frame_bytes


@cache
def piece(codec: str, rate: int, channels: int) -> bytes:
    """Half a second, in a container that can be put behind another of its kind."""
    names = {"aac": "a.aac", "libmp3lame": "a.mp3", "libopus": "a.opus", "libvorbis": "a.ogg", "flac": "a.oga"}
    more: tuple[str, ...] = ("-write_xing", "0", "-id3v2_version", "0")
    if names[codec].endswith(("opus", "ogg", "oga")):
        # Of a link that is a single page, FFmpeg's demuxer takes the last page's time for the first's.
        more = ("-page_duration", "100000")
    with tempfile.TemporaryDirectory() as name:
        return save(Path(name) / names[codec], voice_like(0.5, rate, channels), rate, codec, *more).read_bytes()


@UNHURRIED
@given(
    codec=st.sampled_from(["aac", "libmp3lame", "libopus", "libvorbis", "flac"]),
    kinds=st.lists(
        st.tuples(st.sampled_from([16_000, 24_000, 48_000]), st.sampled_from([1, 2])), min_size=2, max_size=4
    ),
)
def test_parameters_that_change_on_the_way(codec: str, kinds: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "upload"
        source.write_bytes(b"".join(piece(codec, *kind) for kind in kinds))
        try:
            report = process(source, OPERATIONS, Path(name))
        except AudioError:
            # Nothing that is all of one kind may be refused.
            if len(set(kinds)) == 1:
                raise
            return
        finite(report)
        # Encoders put in front and behind up to two frames, of 72 ms for MP3 at 16 kHz.
        assert report.audio_seconds == pytest.approx(0.5 * len(kinds), abs=0.15 * len(kinds))


def remuxed(source: Path, target: Path, jumps: list[int]) -> None:
    """The same packets, the time between two of them longer by some milliseconds."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        late = 0
        for number, packet in enumerate(old.demux(audio=0)):
            if packet.pts is None or packet.dts is None or packet.time_base is None:
                continue
            late += int(jumps[number % len(jumps)] / 1000 / packet.time_base)
            packet.pts, packet.dts = packet.pts + late, packet.dts + late
            packet.stream = stream
            new.mux(packet)


@UNHURRIED
@given(
    name=st.sampled_from(["a.mka", "a.mov", "a.webm", "a.ogg"]),
    jumps=st.lists(st.sampled_from([0, 0, 0, 1, 40, 999, 3_600_000]), min_size=1, max_size=12),
)
def test_times_that_jump(name: str, jumps: list[int]) -> None:
    codec = {"a.mka": "flac", "a.mov": "pcm_s16le", "a.webm": "libopus", "a.ogg": "libvorbis"}[name]
    with tempfile.TemporaryDirectory() as folder:
        source = save(Path(folder) / name, voice_like(0.5, 48_000, 2), 48_000, codec)
        jumping = Path(folder) / f"jumping-{name}"
        remuxed(source, jumping, jumps)
        output = Path(folder) / "out"
        output.mkdir()
        before, after = (process(each, OPERATIONS, output) for each in (source, jumping))
        finite(after)
        # All that was recorded is there, without a gap.
        assert after.audio_seconds == pytest.approx(before.audio_seconds, abs=0.03)
