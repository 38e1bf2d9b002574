"""Albums: one gain for all tracks, from the loudness of all as one; and mono as two speakers play it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.worker.audio.engine import Extra, process
from shared.schema.operations import operations_adapter
from shared.schema.results import LoudnessResult, NormalizeResult
from tests.unit.audio.independent import measure, read
from tests.unit.audio.signals import save, sine, voice_like


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three tracks, 16 dB apart, and all of them in one file."""
    folder = tmp_path_factory.mktemp("album")
    tracks = [10 ** (dbfs / 20) * voice_like(12, 48_000, 2, seed=n) for n, dbfs in enumerate((-8, 0, -16))]
    paths = {f"track-{n}": save(folder / f"{n}.flac", track, 48_000, "flac") for n, track in enumerate(tracks, start=1)}
    return {**paths, "all": save(folder / "all.flac", np.concatenate(tracks, axis=1), 48_000, "flac")}


def normalized(album: dict[str, Path], folder: Path, **parameters: Any) -> NormalizeResult:
    extras = {name: Extra(album[name]) for name in ("track-2", "track-3")}
    operation = {"op": "normalize", "album": list(extras), **parameters}
    result = process(album["track-1"], operations_adapter.validate_python([operation]), folder, extras=extras).results
    assert isinstance(result["normalize"], NormalizeResult)
    return result["normalize"]


def test_one_gain_takes_the_album_to_the_target(album: dict[str, Path], tmp_path: Path) -> None:
    result = normalized(album, tmp_path, target_lufs=-30)
    together = measure(album["all"])
    # All but the blocks over the joints are the same, and there are four to each joint.
    assert result.input_lufs == pytest.approx(together.integrated_lufs, abs=0.1)
    assert result.input_true_peak_dbtp == pytest.approx(together.true_peak_dbtp, abs=0.2)
    assert result.gain_db == pytest.approx(-30 - together.integrated_lufs, abs=0.1)
    assert result.output_lufs == -30
    names = ["normalize.flac", "normalize-track-2.flac", "normalize-track-3.flac"]
    assert [track.artifact for track in result.tracks] == names
    assert [track.input for track in result.tracks] == [None, "track-2", "track-3"]
    factor = 10 ** (result.gain_db / 20)
    for number, track in enumerate(result.tracks, start=1):
        before, after = read(album[f"track-{number}"]), read(tmp_path / track.artifact)
        # The gain is given to a hundredth of a decibel; dither of 16 bits.
        assert np.abs(after - before * factor).max() < 0.0012 * np.abs(after).max() + 3 / 32768
        assert track.output_lufs == pytest.approx(measure(tmp_path / track.artifact).integrated_lufs, abs=0.1)
        assert track.duration_seconds == 12


def test_the_ceiling_holds_over_all_tracks(album: dict[str, Path], tmp_path: Path) -> None:
    result = normalized(album, tmp_path, target_lufs=-10, true_peak_dbtp=-3, limiter=False)
    assert result.limited_by_peak
    assert result.output_true_peak_dbtp == -3
    peaks = [measure(tmp_path / track.artifact).true_peak_dbtp for track in result.tracks]
    assert max(peaks) == pytest.approx(-3, abs=0.2)
    # The other tracks are as far below the loudest as before.
    assert min(peaks) < -15


def test_an_album_of_lossy_files_is_corrected_as_one(album: dict[str, Path], tmp_path: Path) -> None:
    result = normalized(album, tmp_path, target_lufs=-28, format="mp3", edits=[{"edit": "trim", "end_seconds": 6}])
    assert [read(tmp_path / track.artifact).shape[1] / 48_000 for track in result.tracks] == [6, 6, 6]
    assert result.output_lufs == pytest.approx(-28, abs=0.1)
    loudest = max(measure(tmp_path / track.artifact).integrated_lufs for track in result.tracks)
    assert loudest == pytest.approx(max(track.output_lufs or -99 for track in result.tracks), abs=0.1)


def test_mono_as_two_speakers_play_it(tmp_path: Path) -> None:
    mono = save(tmp_path / "mono.wav", sine(1000, -23, 5, channels=1), 48_000)
    operations = operations_adapter.validate_python(
        [
            {"op": "loudness"},
            {"op": "loudness", "name": "dual", "dual_mono": True},
            {"op": "normalize", "target_lufs": -16, "dual_mono": True},
            {"op": "normalize", "name": "lossy", "target_lufs": -16, "dual_mono": True, "format": "mp3"},
            {"op": "normalize", "name": "limited", "target_lufs": -16, "dual_mono": True, "true_peak_dbtp": -18},
            {"op": "normalize", "name": "wide", "target_lufs": -16, "dual_mono": True, "channels": 2},
        ]
    )
    results = process(mono, operations, tmp_path).results
    plain, dual = results["loudness"], results["dual"]
    assert isinstance(plain, LoudnessResult)
    assert isinstance(dual, LoudnessResult)
    # A stereo sine of -23 dBFS has -23 LUFS (Tech 3341, case 1): mono has half of the power.
    assert plain.integrated_lufs == pytest.approx(-26.01, abs=0.1)
    assert dual.integrated_lufs == pytest.approx(-23, abs=0.1)
    assert dual.true_peak_dbtp == plain.true_peak_dbtp
    limited = results["limited"]
    assert isinstance(limited, NormalizeResult)
    assert limited.method == "limited"
    assert limited.output_lufs == pytest.approx(measure(tmp_path / "limited.flac").integrated_lufs + 3.01, abs=0.1)
    for name, lufs in (("normalize.flac", -19.01), ("lossy.mp3", -19.01), ("wide.flac", -16)):
        assert measure(tmp_path / name).integrated_lufs == pytest.approx(lufs, abs=0.15), name


def test_stereo_is_not_changed_by_dual_mono(album: dict[str, Path], tmp_path: Path) -> None:
    operations = operations_adapter.validate_python(
        [{"op": "loudness"}, {"op": "loudness", "name": "dual", "dual_mono": True}]
    )
    results = process(album["all"], operations, tmp_path).results
    assert results["loudness"] == results["dual"]
