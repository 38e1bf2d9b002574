"""Spectrograms: tones, sweeps and moments where arithmetic says that they stand, read from the PNG by FFmpeg."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.worker.audio.engine import process
from services.worker.audio.pcm import Pcm, Resolution
from services.worker.audio.spectrogram import SpectrogramWriter
from services.worker.audio.spectrogram.picture import color_table, paint
from shared.schema.operations import ColorMap, Spectrogram
from shared.schema.results import SpectrogramResult
from tests.unit.audio.independent import ffmpeg
from tests.unit.audio.signals import Signal, recording, save, silence, sine, voice_like

RATE = 48_000
WIDTH, HEIGHT = 200, 240
SIZE = {"width": WIDTH, "height": HEIGHT}


def decode_png(path: Path) -> NDArray[np.uint8]:
    """Pixels as FFmpeg decodes them, shape (height, width, 3)."""
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    raw = ffmpeg("-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-").stdout
    return np.frombuffer(raw, np.uint8).reshape(height, width, 3)


def draw(source: Path, **parameters: object) -> tuple[NDArray[np.float64], SpectrogramResult]:
    """Levels in dB, shape (height, width) with the lowest row first, and the result."""
    output = source.parent / "out"
    output.mkdir(exist_ok=True)
    operation = Spectrogram.model_validate({**SIZE, "colors": "gray", **parameters})
    report = process(source, (operation,), output)
    result = report.results["spectrogram"]
    assert isinstance(result, SpectrogramResult)
    assert [(artifact.name, artifact.media_type) for artifact in report.artifacts] == [(result.artifact, "image/png")]
    pixels = decode_png(report.artifacts[0].path)
    assert pixels.shape == (operation.height, operation.width, 3)
    return (pixels[::-1, :, 0] / 255 - 1) * operation.range_db, result


def row_of(hertz: float, scale: str, low: float, high: float, height: int = HEIGHT) -> int:
    """The row, from the bottom, that a frequency stands in."""

    def place(frequency: float) -> float:
        if scale == "linear":
            return frequency
        return float(np.log(frequency if scale == "log" else 1 + frequency / 700))

    return int((place(hertz) - place(low)) / (place(high) - place(low)) * height)


@pytest.mark.parametrize("hertz", [110.0, 997.0, 5_000.0, 15_000.0])
@pytest.mark.parametrize(("scale", "low"), [("linear", 0.0), ("mel", 0.0), ("log", 20.0)])
@pytest.mark.parametrize("rate", [RATE, 44_100, 96_000])
def test_tone_stands_at_its_frequency_with_its_level(
    tmp_path: Path, rate: int, scale: str, low: float, hertz: float
) -> None:
    levels, result = draw(save(tmp_path / "a.wav", sine(hertz, -20, 3, rate), rate), frequency_scale=scale)
    assert (result.min_hz, result.max_hz) == (low, rate / 2)
    middle = levels[:, 20:-20].mean(axis=1)
    # A spectrum knows a frequency as well as its bins are apart: 23 Hz.
    lowest, highest = (row_of(hertz + step * rate / 2048, scale, low, rate / 2) for step in (-0.5, 0.5))
    peaks = np.flatnonzero(middle > middle.max() - 0.1)
    assert lowest <= peaks.min()
    assert peaks.max() <= highest
    # Hann: half way between two bins a tone is 1.42 dB lower (Harris, 1978).
    assert -21.6 < middle.max() < -19.7
    far = np.abs(np.arange(HEIGHT) - row_of(hertz, scale, low, rate / 2)) > 60
    assert middle[far].max() < -95


def test_axis_as_asked(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", sine(3_000, -20, 2, 16_000), 16_000)
    levels, result = draw(source, min_hz=2_000, max_hz=12_000)
    assert (result.min_hz, result.max_hz) == (2_000, 12_000)
    middle = levels[:, 20:-20].mean(axis=1)
    assert abs(int(np.argmax(middle)) - row_of(3_000, "linear", 2_000, 12_000)) <= 1
    # Above half of the sample rate there is nothing, not even noise.
    assert (middle[row_of(8_100, "linear", 2_000, 12_000) :] == -100).all()


def test_lower_end_above_all_there_is(tmp_path: Path) -> None:
    levels, result = draw(save(tmp_path / "a.wav", sine(1_000, -20, 1, 8_000), 8_000), min_hz=5_000)
    assert (result.min_hz, result.max_hz) == (5_000, 10_000)
    assert (levels == -100).all()


def sweep(seconds: float) -> Signal:
    """A sine whose frequency rises evenly from 0 to half of the sample rate."""
    times = np.arange(round(seconds * RATE)) / RATE
    wave = 0.1 * np.sin(2 * np.pi * RATE / 4 / seconds * times**2)
    return np.tile(wave, (2, 1))


@pytest.mark.parametrize("seconds", [0.7, 2.0, 7.3, 33.0])
def test_sweep_is_a_diagonal(tmp_path: Path, seconds: float) -> None:
    levels, _ = draw(save(tmp_path / "a.wav", sweep(seconds), RATE, "pcm_f32le"), width=100, height=100)
    rows = np.argmax(levels, axis=0)[2:-2]
    # Column c lasts from c to c + 1 hundredths of the time, and of the frequencies.
    assert np.abs(rows - np.arange(2, 98)).max() <= 1


@pytest.mark.parametrize("seconds", [0.5, 3.0, 40.0])
def test_moment_stands_at_its_time(tmp_path: Path, seconds: float) -> None:
    signal = silence(seconds)
    start, end = round(0.6 * signal.shape[1]), round(0.7 * signal.shape[1])
    signal[:, start:end] = sine(4_000, -20, 1)[:, :1] + voice_like(seconds, RATE, 2)[:, start:end]
    levels, result = draw(save(tmp_path / "a.wav", signal))
    heard = np.flatnonzero(levels.max(axis=0) > -70)
    reach = 1 + int(np.ceil(2048 / 2 / RATE / seconds * WIDTH))  # half of a spectrum's length
    assert abs(int(heard.min()) - 0.6 * WIDTH) <= reach
    assert abs(int(heard.max()) - 0.7 * WIDTH) <= reach
    assert result.seconds_per_pixel == pytest.approx(seconds / WIDTH)


@pytest.mark.parametrize("start", [0.5, 3.1, 11.7, 20.05, 29.7])
def test_nothing_is_lost_however_few_the_columns(tmp_path: Path, start: float) -> None:
    signal = silence(30)
    signal[:, round(start * RATE) : round((start + 0.2) * RATE)] = sine(6_000, 0, 0.2)
    levels, _ = draw(save(tmp_path / "a.wav", signal), width=16, range_db=60)
    power = 10 ** (levels[row_of(6_000, "linear", 0, RATE / 2)] / 10)
    # 0.2 of 30 s; a step of the picture's gray is 0.24 dB.
    assert np.where(power > 1e-5, power, 0).mean() == pytest.approx(0.2 / 30, rel=0.08)


def test_mean_power_does_not_depend_on_the_length(tmp_path: Path) -> None:
    # White noise of variance v has v * 2 * sum(w^2) / sum(w)^2 * 2 in a bin that shows a full-scale sine as 1.
    noise = np.random.default_rng(0).normal(size=(1, 60 * RATE)) * 0.05
    hann = np.hanning(2049)[:-1]
    expected = 10 * np.log10(0.05**2 * 4 * np.sum(hann**2) / np.sum(hann) ** 2)
    for seconds in (10, 60):
        # 1024 rows for 1024 bins: no row takes the strongest of several.
        source = save(tmp_path / "a.wav", noise[:, : seconds * RATE], RATE, "pcm_f32le")
        levels, _ = draw(source, height=1024, width=64, range_db=60)
        power = 10 ** (levels[10:-10] / 10)
        assert 10 * np.log10(power.mean()) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("frames", [1, 50, 1_000])
def test_shortest(tmp_path: Path, frames: int) -> None:
    levels, result = draw(save(tmp_path / "a.wav", sine(6_000, 0, frames / RATE)))
    assert result.seconds_per_pixel == pytest.approx(frames / RATE / WIDTH)
    assert levels.max() <= 0
    if frames == 1_000:
        assert abs(int(np.argmax(levels[:, WIDTH // 2])) - row_of(6_000, "linear", 0, RATE / 2)) <= 1


def test_channels_are_mixed(tmp_path: Path) -> None:
    both = np.concatenate((sine(1_000, -20, 2, RATE, 1), sine(5_000, -20, 2, RATE, 1)))
    levels, _ = draw(save(tmp_path / "a.wav", both))
    middle = levels[:, 20:-20].mean(axis=1)
    for hertz in (1_000, 5_000):
        row = row_of(hertz, "linear", 0, RATE / 2)
        assert middle[row - 1 : row + 2].max() == pytest.approx(-26.8, abs=1)


def test_digital_silence_is_the_first_color(tmp_path: Path) -> None:
    levels, _ = draw(save(tmp_path / "a.wav", silence(2)))
    assert (levels == -100).all()


@pytest.mark.parametrize("colors", list(ColorMap))
def test_colors_grow_brighter(colors: ColorMap) -> None:
    table = color_table(colors).astype(float)
    assert table.shape == (256, 3)
    # Rec. 709 luma of the coded values: it rises from color to color, so that the picture reads in gray as well.
    luma = table @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(luma) > -1).all()
    assert luma[0] < 40
    assert luma[-1] > 200


@pytest.mark.parametrize("colors", list(ColorMap))
def test_colors_come_out_of_the_file(tmp_path: Path, colors: ColorMap) -> None:
    indices = np.arange(16 * 256, dtype=np.uint16).reshape(16, 256).astype(np.uint8)[:, ::-1]
    paint(indices, colors).save(tmp_path / "a.png")
    assert np.array_equal(decode_png(tmp_path / "a.png"), color_table(colors)[indices])


@pytest.mark.parametrize(
    ("colors", "index", "expected"),
    # Colours of matplotlib's maps at places that lie between those of our table's anchors.
    [("viridis", 104, (41, 122, 142)), ("magma", 136, (196, 60, 117)), ("inferno", 40, (47, 10, 91))],
)
def test_colors_are_those_of_their_maps(colors: str, index: int, expected: tuple[int, int, int]) -> None:
    assert np.abs(color_table(ColorMap(colors))[index].astype(int) - expected).max() <= 6


@settings(deadline=None, max_examples=12)
@given(pieces=st.lists(st.integers(0, 40_000), min_size=1, max_size=6), width=st.integers(16, 60))
def test_picture_does_not_depend_on_where_blocks_end(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[int], width: int
) -> None:
    directory = tmp_path_factory.mktemp("pieces")
    whole = voice_like(max(sum(pieces), 1) / RATE, RATE, 1).astype(np.float32)
    operation = Spectrogram(width=width, height=64, colors="gray")
    pictures = []
    for number, sizes in enumerate(([whole.shape[1]], pieces)):
        path = directory / f"{number}.png"
        writer = SpectrogramWriter(path, Pcm(RATE, ("FC",), Resolution.FLOAT), operation)
        start = 0
        for size in sizes:
            writer.add(whole[:, start : start + size])
            start += size
        if start < whole.shape[1]:
            writer.add(whole[:, start:])
        writer.finish()
        pictures.append(decode_png(path).astype(int))
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


def test_real_recording_looks_as_ffmpeg_draws_it(tmp_path: Path) -> None:
    source = tmp_path / "a.wav"
    source.write_bytes(recording().read_bytes())
    levels, _ = draw(source, width=400, height=256)
    chain = (
        "showspectrumpic=s=400x256:legend=0:mode=combined:scale=log:drange=100:win_func=hann:color=channel:saturation=0"
    )
    ffmpeg("-v", "error", "-i", source, "-lavfi", chain, tmp_path / "judge.png")
    judge = decode_png(tmp_path / "judge.png")[::-1].astype(float).mean(axis=2)
    assert np.corrcoef(levels.ravel(), judge.ravel())[0, 1] > 0.9


def framed(source: Path, **parameters: object) -> tuple[NDArray[np.uint8], NDArray[np.uint8], SpectrogramResult]:
    """The picture with axes, the same without, and the result."""
    operations = [
        Spectrogram.model_validate({**SIZE, "name": name, "axes": name == "with", **parameters})
        for name in ("with", "without")
    ]
    report = process(source, operations, source.parent)
    result = report.results["with"]
    assert isinstance(result, SpectrogramResult)
    return decode_png(source.parent / "with.png"), decode_png(source.parent / "without.png"), result


@pytest.mark.parametrize("scale", ["linear", "mel", "log"])
def test_axes_stand_around_the_same_picture(tmp_path: Path, scale: str) -> None:
    source = save(tmp_path / "a.wav", sine(1_000, -20, 10, 16_000), 16_000)
    picture, plain, result = framed(source, frequency_scale=scale, colors="magma", range_db=60)
    assert picture.shape[:2] == (result.picture_height, result.picture_width)
    inner = picture[result.top : result.top + HEIGHT, result.left : result.left + WIDTH]
    assert np.array_equal(inner, plain)
    dark = picture.sum(axis=2) < 150
    # Ticks touch the picture where arithmetic has round times and frequencies: 10 s on 200 pixels, 0 to 8 kHz.
    columns = np.flatnonzero(dark[result.top + HEIGHT + 1, result.left : result.left + WIDTH + 1])
    assert columns.tolist() == [0, 100, 200]
    lines = np.flatnonzero(dark[: result.top + HEIGHT + 1, result.left - 2]) - result.top
    low = 20 if scale == "log" else 0
    expected = {
        "linear": range(0, 8_001, 1_000),
        "mel": (0, 200, 500, 1_000, 2_000, 5_000),
        "log": (20, 50, 100, 200, 500, 1_000, 2_000, 5_000),
    }[scale]
    places = [HEIGHT - 1 - row_of(hertz, scale, low, 8_000) for hertz in expected]
    assert len(lines) == len(places)
    assert np.abs(lines[::-1] - places).max() <= 1
    # The colours' scale: its first is the lowest level's, its last that of 0 dB.
    bar = picture[result.top : result.top + HEIGHT, result.left + WIDTH + 20]
    assert np.array_equal(bar[[0, -1]], color_table(ColorMap.MAGMA)[[255, 0]])
    assert len(np.unique(bar, axis=0)) > 200


@pytest.mark.parametrize("seconds", [0.002, 0.7, 3.0, 4_000.0])
@pytest.mark.parametrize("size", [{"width": 16, "height": 16}, {"width": 600, "height": 100}])
def test_axes_of_any_length_and_size(tmp_path: Path, seconds: float, size: dict[str, int]) -> None:
    rate = 8_000 if seconds < 100 else 60
    source = save(tmp_path / "a.wav", sine(rate / 5, -20, seconds, rate, 1), rate)
    picture, _, result = framed(source, **size)
    assert picture.shape[:2] == (result.picture_height, result.picture_width)
    # There is ink in each margin.
    assert (picture[result.top + size["height"] :].sum(axis=2) < 150).any()
    assert (picture[:, : result.left].sum(axis=2) < 150).any()
    assert (picture[:, result.left + size["width"] + 40 :].sum(axis=2) < 150).any()
