"""Down-mix coefficients, against ITU-R BS.775 and in files."""

from pathlib import Path

import numpy as np
import pytest

from services.worker.audio.engine import process
from services.worker.audio.layouts import STANDARD_LAYOUTS, is_same_layout, mix_matrix
from shared.schema.operations import Normalize, Transcode
from tests.unit.audio import independent
from tests.unit.audio.signals import save, sine, voice_like

STEREO, MONO = ("FL", "FR"), ("FC",)
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")
ROOT_HALF = 0.7071068


def row(source: tuple[str, ...], target: tuple[str, ...], channel: str) -> dict[str, float]:
    """What goes into one channel."""
    values = mix_matrix(source, target)[target.index(channel)]
    return {name: round(float(value), 7) for name, value in zip(source, values, strict=True) if value}


def test_surround_to_stereo() -> None:
    # ITU-R BS.775-3, table 2.
    assert row(SURROUND, STEREO, "FL") == pytest.approx({"FL": 1, "FC": ROOT_HALF, "BL": ROOT_HALF})
    assert row(SURROUND, STEREO, "FR") == pytest.approx({"FR": 1, "FC": ROOT_HALF, "BR": ROOT_HALF})


def test_side_surrounds_are_surrounds() -> None:
    side = ("FL", "FR", "FC", "LFE", "SL", "SR")
    assert is_same_layout(side, SURROUND)
    assert row(side, STEREO, "FL") == pytest.approx({"FL": 1, "FC": ROOT_HALF, "SL": ROOT_HALF})


def test_stereo_and_mono() -> None:
    assert row(STEREO, MONO, "FC") == {"FL": 0.5, "FR": 0.5}
    assert row(MONO, STEREO, "FL") == row(MONO, STEREO, "FR") == {"FC": 1}
    assert row(SURROUND, MONO, "FC") == pytest.approx(
        {"FL": 0.5, "FR": 0.5, "FC": ROOT_HALF, "BL": ROOT_HALF / 2, "BR": ROOT_HALF / 2}
    )


def test_seven_to_five() -> None:
    seven = STANDARD_LAYOUTS[8][1]
    assert row(seven, SURROUND, "BL") == pytest.approx({"BL": 1, "SL": ROOT_HALF})
    assert row(seven, SURROUND, "LFE") == {"LFE": 1}


@pytest.mark.parametrize("source", [layout for _, layout in STANDARD_LAYOUTS.values()])
@pytest.mark.parametrize("target", [layout for _, layout in STANDARD_LAYOUTS.values()])
def test_no_channel_but_the_lfe_is_lost(source: tuple[str, ...], target: tuple[str, ...]) -> None:
    matrix = mix_matrix(source, target)
    assert matrix.shape == (len(target), len(source))
    for column, channel in enumerate(source):
        assert matrix[:, column].any() or channel == "LFE"


@pytest.mark.parametrize("audio_format", ["flac", "wav", "opus", "aac"])
def test_channels_arrive_in_their_places(tmp_path: Path, audio_format: str) -> None:
    frequencies = (300, 500, 700, 60, 1100, 1300)
    signal = np.concatenate([sine(frequency, -20, 2, channels=1) for frequency in frequencies])
    source = save(tmp_path / "a.wav", signal)
    written = independent.read(process(source, (Transcode(format=audio_format),), tmp_path).artifacts[0].path)
    assert len(written) == 6
    for channel, frequency in zip(written, frequencies, strict=True):
        spectrum = np.abs(np.fft.rfft(channel[24_000:72_000]))
        assert np.argmax(spectrum) == frequency


def test_stereo_of_surround_in_a_file(tmp_path: Path) -> None:
    source = save(tmp_path / "a.wav", 0.4 * voice_like(1, 48_000, 6), 48_000, "pcm_s24le")
    before = independent.read(source).astype(float)
    written = independent.read(process(source, (Transcode(format="flac", channels=2),), tmp_path).artifacts[0].path)
    left = before[0] + ROOT_HALF * (before[2] + before[4])
    assert written[0] == pytest.approx(left, abs=2**-22)


@pytest.mark.parametrize("channels", [1, 2])
def test_mixed_output_is_normalised_as_it_is_heard(tmp_path: Path, channels: int) -> None:
    source = save(tmp_path / "a.wav", voice_like(4, 48_000, 6))
    operation = Normalize(format="flac", channels=channels, target_lufs=-30)
    written = process(source, (operation,), tmp_path).artifacts[0].path
    assert independent.measure(written).integrated_lufs == pytest.approx(-30, abs=0.1)
