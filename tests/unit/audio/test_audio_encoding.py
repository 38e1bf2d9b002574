"""What is written: right to the sample, at the right level, in the right shape, as FFmpeg reads it back."""

import struct
from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.encoders import plan_encoding
from services.worker.audio.encoders.quantise import Quantiser
from services.worker.audio.engine import process
from services.worker.audio.pcm import Pcm, Resolution
from shared.schema.operations import AnyOperation, AudioFormat, Encoding, Normalize, Transcode
from shared.schema.results import NormalizeResult
from tests.unit.audio import independent
from tests.unit.audio.signals import recording, save, silence, sine, voice_like


def render(source: Path, operation: AnyOperation) -> Path:
    """The one artifact of an operation."""
    output = source.parent / "out"
    output.mkdir(exist_ok=True)
    return process(source, (operation,), output).artifacts[0].path


@pytest.mark.parametrize("frames", [1, 1024, 131_073])
@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_length_to_the_sample(tmp_path: Path, audio_format: AudioFormat, frames: int) -> None:
    rate = 48_000 if audio_format is AudioFormat.OPUS else 44_100
    source = save(tmp_path / "a.wav", voice_like(frames / rate, rate, 2), rate)
    written = render(source, Transcode(format=audio_format))
    assert independent.read(written).shape == (2, frames)


def delay(reference: np.ndarray, written: np.ndarray) -> int:
    """By how many samples one is later than the other."""
    size = 1 << (len(reference) + len(written)).bit_length()
    product = np.fft.rfft(written, size) * np.conj(np.fft.rfft(reference, size))
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return peak if peak < size // 2 else peak - size


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_encoder_delay_is_taken_out(tmp_path: Path, audio_format: AudioFormat, rate: int) -> None:
    signal = voice_like(1, rate, 1)
    source = save(tmp_path / "a.wav", signal, rate)
    written = render(
        source, Transcode(format=audio_format, bitrate_kbps=64 if audio_format in ("mp3", "opus", "aac") else None)
    )
    got, got_rate = independent.read_with_rate(written)
    reference = save(tmp_path / "reference.wav", signal, rate, "pcm_s16le", "-ar", str(got_rate))
    read, expected = got[0], independent.read(reference)[0]
    assert abs(delay(expected, read)) <= 1
    assert abs(len(read) - len(expected)) <= 1


@pytest.mark.parametrize(("codec", "bits"), [("pcm_u8", 16), ("pcm_s16le", 16), ("pcm_s24le", 24)])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
def test_flac_loses_nothing(tmp_path: Path, codec: str, bits: int, channels: int) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, 48_000, channels), 48_000, codec)
    written = render(source, Transcode(format="flac"))
    assert np.array_equal(independent.read(written), independent.read(source))
    # STREAMINFO: bits a sample, and the number of samples, which is only known at the end.
    head = int.from_bytes(written.read_bytes()[8:42], "big") >> (34 * 8 - 18 * 8) & (1 << 64) - 1
    assert (head >> 36 & 31) + 1 == bits
    assert head & (1 << 36) - 1 == 48_000


def test_wav_of_sixteen_bits_loses_nothing(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(1, 48_000, 6), 48_000)
    assert np.array_equal(independent.read(render(source, Transcode(format="wav"))), independent.read(source))


def test_dither_where_bits_are_lost(tmp_path: Path) -> None:
    # A third of a 16-bit step: plain rounding would make silence of it.
    source = save(tmp_path / "a.wav", sine(1000, 20 * np.log10(1 / 3 / 32768), 10, channels=1), 48_000, "pcm_s24le")
    written = independent.read(render(source, Transcode(format="wav")))[0].astype(float)
    tone = np.exp(-2j * np.pi * 1000 * np.arange(len(written)) / 48_000)
    assert abs(np.mean(written * tone)) * 2 * 32768 == pytest.approx(1 / 3, abs=0.02)


def test_dither_is_triangular_noise_of_two_steps() -> None:
    samples = np.full((1, 400_000), 0.3 / 32768, np.float32)
    error = Quantiser(16, 1, dither=True).quantise(samples)[:, 0] - 0.3
    # Lipshitz et al. (1992): the total error of triangular dither has mean 0 and variance 1/4, whatever the signal.
    assert error.mean() == pytest.approx(0, abs=0.002)
    assert error.var() == pytest.approx(0.25, abs=0.003)


@pytest.mark.parametrize("audio_format", ["wav", "flac", "mp3"])
def test_what_is_over_full_scale_is_clipped_and_does_not_wrap(tmp_path: Path, audio_format: str) -> None:
    source = save(tmp_path / "a.wav", sine(100, 6, 1, channels=1), 48_000, "pcm_f32le")
    written = independent.read(render(source, Transcode(format=audio_format)))[0].astype(float)
    clipped = np.clip(sine(100, 6, 1, channels=1)[0], -1, 1)
    assert written == pytest.approx(clipped, abs=0.3 if audio_format == "mp3" else 1e-4)


def test_silence_stays_silence(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", silence(1), 48_000, "pcm_s24le")
    assert not independent.read(render(source, Transcode(format="wav"))).any()


def test_m4a_has_its_index_in_front(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", voice_like(2, 48_000, 2))
    content = render(source, Transcode(format="aac")).read_bytes()
    kinds, position = [], 0
    while position < len(content):
        length, kind = struct.unpack(">I4s", content[position : position + 8])
        kinds.append(kind)
        position += length
    assert kinds.index(b"moov") < kinds.index(b"mdat")


@pytest.mark.parametrize(
    ("kbps", "rate", "channels"), [(320, 48_000, 2), (64, 44_100, 1), (8, 8_000, 1), (160, 24_000, 2)]
)
def test_mp3_bit_rate_is_kept(tmp_path: Path, kbps: int, rate: int, channels: int) -> None:
    source = save(tmp_path / "a.wav", voice_like(10, rate, channels), rate)
    written = render(source, Transcode(format="mp3", bitrate_kbps=kbps))
    assert written.stat().st_size * 8 / 10 / 1000 == pytest.approx(kbps, rel=0.05)


LOSSY = ("mp3", "opus", "aac")


@pytest.mark.parametrize("audio_format", list(AudioFormat))
@pytest.mark.parametrize(
    ("rate", "channels", "codec"), [(44_100, 2, "pcm_s16le"), (96_000, 6, "pcm_s24le"), (16_000, 1, "pcm_f32le")]
)
def test_normalised_loudness_measured_by_ffmpeg(
    tmp_path: Path, audio_format: AudioFormat, rate: int, channels: int, codec: str
) -> None:
    source = save(tmp_path / "a.wav", voice_like(3, rate, channels), rate, codec)
    written = render(source, Normalize(format=audio_format, target_lufs=-27))
    assert independent.measure(written).integrated_lufs == pytest.approx(-27, abs=0.1)


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_normalised_speech(tmp_path: Path, audio_format: AudioFormat) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(recording().read_bytes())
    written = render(source, Normalize(format=audio_format, target_lufs=-23, true_peak_dbtp=0))
    assert independent.measure(written).integrated_lufs == pytest.approx(-23, abs=0.1)


@pytest.mark.parametrize("audio_format", ["flac", "wav"])
def test_gain_stops_at_the_ceiling(tmp_path: Path, audio_format: str) -> None:
    source = save(tmp_path / "a.wav", voice_like(5, 48_000, 2))
    output = tmp_path / "out"
    output.mkdir()
    operation = Normalize(format=audio_format, target_lufs=-5, true_peak_dbtp=-1.5, limiter=False)
    report = process(source, (operation,), output)
    result = report.results["normalize"]
    assert isinstance(result, NormalizeResult)
    assert result.limited_by_peak
    assert (result.method, result.largest_reduction_db) == ("linear", 0)
    assert result.output_true_peak_dbtp == -1.5
    assert result.output_lufs is not None
    judge = independent.measure(report.artifacts[0].path)
    assert judge.true_peak_dbtp == pytest.approx(-1.5, abs=0.15)
    assert judge.integrated_lufs == pytest.approx(result.output_lufs, abs=0.1)


def test_normalised_silence_is_silence(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", silence(2))
    output = tmp_path / "out"
    output.mkdir()
    report = process(source, (Normalize(),), output)
    result = report.results["normalize"]
    assert isinstance(result, NormalizeResult)
    assert (result.gain_db, result.input_lufs, result.output_lufs, result.limited_by_peak) == (0, None, None, False)
    assert not independent.read(report.artifacts[0].path).any()


@pytest.mark.parametrize(
    ("asked", "source_rate", "source_channels", "expected"),
    [
        ({"format": "mp3"}, 96_000, 6, (48_000, 2, 128)),
        ({"format": "mp3"}, 44_100, 1, (44_100, 1, 64)),
        ({"format": "mp3", "bitrate_kbps": 320}, 22_050, 2, (22_050, 2, 160)),
        ({"format": "mp3", "bitrate_kbps": 100}, 44_100, 2, (44_100, 2, 96)),
        ({"format": "opus"}, 44_100, 2, (48_000, 2, 128)),
        ({"format": "opus"}, 16_000, 1, (16_000, 1, 64)),
        ({"format": "opus", "bitrate_kbps": 512}, 48_000, 1, (48_000, 1, 256)),
        ({"format": "aac"}, 192_000, 6, (96_000, 6, 384)),
        ({"format": "aac", "sample_rate": 44_100, "channels": 2, "bitrate_kbps": 96}, 48_000, 6, (44_100, 2, 96)),
        ({"format": "flac"}, 192_000, 8, (192_000, 8, None)),
        ({"format": "wav", "sample_rate": 8_000, "channels": 1}, 44_100, 2, (8_000, 1, None)),
    ],
)
def test_what_was_left_open_is_filled_in(
    asked: dict[str, object], source_rate: int, source_channels: int, expected: tuple[int, int, int | None]
) -> None:
    channels = tuple(f"C{number}" for number in range(source_channels))
    plan = plan_encoding(Encoding.model_validate(asked), Pcm(source_rate, channels, Resolution.INT16))
    assert (plan.sample_rate, len(plan.channels), plan.bitrate_kbps) == expected


@pytest.mark.parametrize(
    ("resolution", "audio_format", "bits"),
    [
        (Resolution.INT16, "flac", 16),
        (Resolution.INT24, "flac", 24),
        (Resolution.FLOAT, "flac", 24),
        (Resolution.LOSSY, "flac", 16),
        (Resolution.INT24, "wav", 16),
    ],
)
def test_depth(resolution: Resolution, audio_format: AudioFormat, bits: int) -> None:
    assert plan_encoding(Encoding(format=audio_format), Pcm(48_000, ("FL", "FR"), resolution)).bits == bits


def test_resampling_keeps_a_tone_and_removes_what_would_alias(tmp_path: Path) -> None:
    keep, lose = sine(3000, -6, 5, 96_000, 1), sine(17_000, -6, 5, 96_000, 1)
    source = save(tmp_path / "a.wav", (keep + lose) / 2, 96_000, "pcm_f32le")
    written = independent.read(render(source, Transcode(format="flac", sample_rate=32_000)))[0].astype(float)
    middle = written[16_000:-16_000] * np.hanning(len(written) - 32_000)
    spectrum = 20 * np.log10(np.abs(np.fft.rfft(middle)) / len(middle) * 4 + 1e-12)
    hertz = np.fft.rfftfreq(len(middle), 1 / 32_000)
    assert spectrum[np.abs(hertz - 3000) < 1].max() == pytest.approx(-12, abs=0.05)
    assert spectrum[np.abs(hertz - 3000) > 50].max() < -115


@pytest.mark.parametrize("audio_format", ["mp3", "opus", "aac", "flac", "wav"])
def test_of_a_sample_that_resampling_swallows_there_is_a_file_all_the_same(tmp_path: Path, audio_format: str) -> None:
    source = save(tmp_path / "a.wav", np.full((1, 1), 0.5), 192_000)
    process(source, (Transcode(name="b", format=audio_format, sample_rate=8000),), tmp_path)
    # Opus always plays at 48 kHz.
    assert independent.read(next(tmp_path.glob("b.*"))).shape == (1, 6 if audio_format == "opus" else 1)
