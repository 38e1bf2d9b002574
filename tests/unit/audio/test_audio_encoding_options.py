"""Rate control, depth and compression, as FFmpeg sees them in the files."""

from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from services.worker.audio.encoders import plan_encoding
from services.worker.audio.engine import process
from services.worker.audio.pcm import Pcm, Resolution
from shared.schema.operations import Encoding, Transcode
from tests.unit.audio import independent
from tests.unit.audio.signals import save, silence, sine, voice_like

RATE = 44_100


def render(source: Path, *asked: Mapping[str, object]) -> list[Path]:
    """The artifacts of some transcodes of one input, from one decode."""
    output = source.parent / "out"
    output.mkdir(exist_ok=True)
    operations = [Transcode.model_validate({"name": f"t{number}", **each}) for number, each in enumerate(asked)]
    return [artifact.path for artifact in process(source, operations, output).artifacts]


def packets(path: Path) -> list[tuple[int, int, float]]:
    """Where each packet stands in the file, its size, and its time in seconds, by FFmpeg's demuxer."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.time_base is not None
        return [
            (packet.pos or 0, packet.size, float((packet.pts or 0) * stream.time_base))
            for packet in container.demux(stream)
            if packet.size
        ]


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds, of which the first ten are much easier to encode."""
    signal = voice_like(20, RATE, 2)
    signal[:, : 10 * RATE] = sine(440, -20, 10, RATE)
    return save(tmp_path_factory.mktemp("changing") / "a.wav", signal, RATE)


def test_mp3_by_quality(changing: Path) -> None:
    best, middle, least = render(changing, *({"format": "mp3", "quality": quality} for quality in (0, 4, 9)))
    assert best.stat().st_size > 1.2 * middle.stat().st_size
    assert middle.stat().st_size > 1.2 * least.stat().st_size
    for path in (best, middle, least):
        frames = packets(path)
        assert len({size for _, size, _ in frames}) > 3
        half = len(frames) // 2
        assert sum(size for _, size, _ in frames[half:]) > 1.5 * sum(size for _, size, _ in frames[:half])
        # Delay and padding are told, and so cut off.
        assert independent.read(path).shape == (2, 20 * RATE)


def check_seek_table(path: Path, mark: bytes, frames_apart: int = 1) -> None:
    """Each hundredth of the time: its frame begins where the table says, to the 256th of the file that it can say."""
    content = path.read_bytes()
    start = content.index(mark)
    count, size = (int.from_bytes(content[start + at : start + at + 4], "big") for at in (8, 12))
    assert size == len(content)
    frames = packets(path)
    assert count == len(frames)
    for percent, entry in enumerate(content[start + 16 : start + 116]):
        frame = count * percent // 100
        earliest = frames[max(0, frame - frames_apart + 1)][0]
        assert earliest - size / 256 - 1 <= entry * size / 256 <= frames[frame][0]


def test_mp3_seek_table(changing: Path) -> None:
    variable, constant = render(changing, {"format": "mp3", "quality": 4}, {"format": "mp3", "bitrate_kbps": 128})
    check_seek_table(variable, b"Xing")
    check_seek_table(constant, b"Info")
    # The frame of the tag has the bit rate of the others: a reader that looks no further says what is true.
    content = constant.read_bytes()
    assert content[2] >> 4 == content[packets(constant)[0][0] + 2] >> 4


def test_mp3_seek_table_of_a_long_file(tmp_path: Path) -> None:
    # The table is made from every fourth frame of so many; the second half of them is the larger.
    noise = np.tile(voice_like(1, 32_000, 1), 70)
    signal = np.concatenate((sine(440, -20, 60, 32_000, 1), noise), axis=1)
    source = save(tmp_path / "a.wav", signal, 32_000)
    (path,) = render(source, {"format": "mp3", "quality": 9})
    assert len(packets(path)) > 3_000
    check_seek_table(path, b"Xing", frames_apart=4)


def test_opus_at_a_constant_and_at_a_variable_rate(changing: Path) -> None:
    asked = {"format": "opus", "bitrate_kbps": 64}
    constant, variable, usual = render(
        changing, {**asked, "rate_control": "cbr"}, {**asked, "rate_control": "vbr"}, asked
    )
    # 20 ms at 64 kbit/s are 160 bytes.
    assert {size for _, size, _ in packets(constant)[:-1]} == {160}
    assert len({size for _, size, _ in packets(variable)}) > 20
    assert [size for _, size, _ in packets(usual)] == [size for _, size, _ in packets(variable)]
    assert abs(constant.stat().st_size * 8 / 20 - 64_000) < 3_000


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_what_is_lossless_loses_nothing(tmp_path: Path, channels: int) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, RATE, channels), RATE, "pcm_s24le")
    expected = independent.read(source)
    asked: tuple[Mapping[str, object], ...] = (
        {"format": "alac"},
        {"format": "wav", "bit_depth": 24},
        {"format": "wav", "bit_depth": 32},
        {"format": "flac", "compression_level": 0},
        {"format": "flac", "compression_level": 12},
    )
    written = render(source, *asked)
    for path in written:
        assert np.array_equal(independent.read(path), expected), path.name
    assert written[3].stat().st_size > written[4].stat().st_size
    said = [independent.ffmpeg("-i", path, "-f", "null", "-").stderr.decode() for path in written[:3]]
    assert "alac" in said[0]
    assert "(24 bit)" in said[0]
    assert "pcm_s24le" in said[1]
    assert "pcm_f32le" in said[2]


def test_float_keeps_what_is_over_full_scale(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", sine(100, 6, 1, RATE), RATE, "pcm_f32le")
    (written,) = render(source, {"format": "wav", "bit_depth": 32})
    assert np.array_equal(independent.read(written), independent.read(source))


@pytest.mark.parametrize("audio_format", ["flac", "alac", "wav"])
def test_less_depth_is_dithered(tmp_path: Path, audio_format: str) -> None:
    # A third of a step of 16 bits: rounded, it would be silence.
    tone = sine(1_000, 20 * np.log10(1 / 3 / 32_768), 10, RATE, 1)
    source = save(tmp_path / "a.wav", tone, RATE, "pcm_s24le")
    shallow, deep = render(source, *({"format": audio_format, "bit_depth": depth} for depth in (16, 24)))

    def level(path: Path) -> float:
        samples = independent.read(path)[0].astype(float)
        wave = np.exp(-2j * np.pi * 1_000 * np.arange(len(samples)) / RATE)
        return float(abs(np.mean(samples * wave)) * 2 * 32_768)

    assert level(shallow) == pytest.approx(1 / 3, abs=0.02)
    assert np.array_equal(independent.read(deep), independent.read(source))
    steps = independent.read(shallow) * 32_768
    assert np.array_equal(steps, np.rint(steps))


def test_more_depth_than_there_is_adds_nothing(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, RATE, 1), RATE)
    (written,) = render(source, {"format": "flac", "bit_depth": 24})
    assert np.array_equal(independent.read(written), independent.read(source))


@pytest.mark.parametrize(("has", "gets"), [(1, 1), (2, 2), (3, 3), (4, 5), (5, 5), (6, 6), (7, 6), (8, 6)])
def test_channels_that_alac_has_a_layout_for(has: int, gets: int) -> None:
    source = Pcm(48_000, tuple(f"C{number}" for number in range(has)), Resolution.INT16)
    assert len(plan_encoding(Encoding(format="alac"), source).channels) == gets


@pytest.mark.parametrize(("frames", "written"), [(1, 3), (2, 3), (3, 3), (4_097, 4_099), (8_194, 8_195)])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_s24le"])
@pytest.mark.parametrize("channels", [1, 2, 3, 5, 6])
def test_alac_may_end_anywhere(tmp_path: Path, codec: str, channels: int, frames: int, written: int) -> None:
    # FFmpeg's encoder ends the process at a last frame of one or two samples, so that silence follows them.
    written = written if channels > 2 else frames
    noise = np.random.default_rng(7).uniform(-1, 1, (channels, frames))
    source = save(tmp_path / "a.wav", noise, RATE, codec)
    (path,) = render(source, {"format": "alac"})
    decoded = independent.read(path)
    assert np.array_equal(decoded[:, :frames], independent.read(source))
    assert decoded.shape[1] == written
    assert not decoded[:, frames:].any()


def one_hot(channels: int, loud: int) -> NDArray[np.float64]:
    """A quarter of full scale in one channel, silence in the others."""
    signal = silence(0.1, RATE, channels)
    signal[loud] = 0.25
    return signal


# ITU-R BS.775-3, annex 4, table 2: 5.1 to stereo; mono is the half sum of that.
_STEREO = {0: (1, 0), 1: (0, 1), 2: (0.7071, 0.7071), 3: (0, 0), 4: (0.7071, 0), 5: (0, 0.7071)}


@pytest.mark.parametrize("loud", range(6))
def test_down_mix_coefficients(tmp_path: Path, loud: int) -> None:
    source = save(tmp_path / "a.wav", one_hot(6, loud), RATE, "pcm_f32le")
    stereo, mono = render(source, *({"format": "wav", "bit_depth": 32, "channels": count} for count in (2, 1)))
    left, right = _STEREO[loud]
    assert independent.read(stereo)[:, 1_000] == pytest.approx((0.25 * left, 0.25 * right), abs=1e-5)
    assert independent.read(mono)[:, 1_000] == pytest.approx((0.25 * (left + right) / 2,), abs=1e-5)
