"""Every format that people send, through all operations at once."""

from pathlib import Path

import pytest

from services.worker.audio.engine import process
from shared.schema.operations import AnyOperation, Loudness, Normalize, Probe, Transcode, Waveform
from shared.schema.results import (
    LoudnessResult,
    NormalizeResult,
    ProbeResult,
    TranscodeResult,
    WaveformResult,
)
from tests.unit.audio import independent
from tests.unit.audio.signals import save, voice_like

EVERYTHING: tuple[AnyOperation, ...] = (
    Probe(),
    Loudness(),
    Waveform(formats=("dat", "json")),
    Transcode(name="mp3", format="mp3"),
    Transcode(name="opus", format="opus"),
    Transcode(name="aac", format="aac"),
    Transcode(name="flac", format="flac"),
    Transcode(name="wav", format="wav"),
    Normalize(target_lufs=-30, format="flac"),
)
INPUTS = {
    "wav16.wav": ("pcm_s16le", 44_100, 2),
    "wav24.wav": ("pcm_s24le", 48_000, 2),
    "wav32f.wav": ("pcm_f32le", 48_000, 2),
    "studio.wav": ("pcm_s24le", 96_000, 2),
    "wav51.wav": ("pcm_s24le", 48_000, 6),
    "u8.wav": ("pcm_u8", 11_025, 1),
    "a.mp3": ("libmp3lame", 44_100, 2),
    "mono.mp3": ("libmp3lame", 22_050, 1),
    "a.flac": ("flac", 44_100, 2),
    "hires.flac": ("flac", 192_000, 2),
    "surround.flac": ("flac", 48_000, 6),
    "a.opus": ("libopus", 48_000, 2),
    "surround.opus": ("libopus", 48_000, 6),
    "a.ogg": ("libvorbis", 44_100, 2),
    "quad.ogg": ("libvorbis", 44_100, 4),
    "a.m4a": ("aac", 44_100, 2),
    "surround.m4a": ("aac", 48_000, 6),
    "three.m4a": ("aac", 48_000, 3),
    "raw.aac": ("aac", 44_100, 2),
    "alac.m4a": ("alac", 44_100, 2),
    "a.aiff": ("pcm_s16be", 44_100, 2),
    "a.caf": ("pcm_s24le", 48_000, 2),
    "a.webm": ("libopus", 48_000, 2),
    "a.mka": ("flac", 48_000, 2),
    "a.wma": ("wmav2", 44_100, 2),
    "a.ac3": ("ac3", 48_000, 6),
    "a.wv": ("wavpack", 44_100, 2),
    "seven.wav": ("pcm_s16le", 48_000, 8),
    "seven.opus": ("libopus", 48_000, 8),
}


FEW = ("wav16.wav", "a.mp3", "a.flac", "a.opus", "a.ogg", "a.m4a", "surround.m4a")


@pytest.mark.parametrize(("name", "seconds"), [(name, 1.3) for name in INPUTS] + [(name, 0.1) for name in FEW])
def test_all_operations(tmp_path: Path, name: str, seconds: float) -> None:
    codec, rate, channels = INPUTS[name]
    source = save(tmp_path / name, voice_like(seconds, rate, channels), rate, codec, "-strict", "-2")
    output = tmp_path / "out"
    output.mkdir()
    report = process(source, EVERYTHING, output, source_name=name)

    # What FFmpeg decodes is the judge of what there was.
    decoded, decoded_rate = independent.read_with_rate(source)
    assert report.audio_seconds == pytest.approx(decoded.shape[1] / decoded_rate, abs=1e-6)
    assert set(report.results) == {"probe", "loudness", "waveform", "mp3", "opus", "aac", "flac", "wav", "normalize"}
    assert sorted(path.name for path in output.iterdir()) == sorted(artifact.name for artifact in report.artifacts)

    probe, loudness, waveform = (report.results[key] for key in ("probe", "loudness", "waveform"))
    assert isinstance(probe, ProbeResult)
    assert isinstance(loudness, LoudnessResult)
    assert isinstance(waveform, WaveformResult)
    assert (probe.streams[0].sample_rate, probe.streams[0].channels) == (decoded_rate, channels)
    assert probe.duration_seconds == pytest.approx(report.audio_seconds, abs=1e-6)
    assert waveform.length == -(-decoded.shape[1] // 256)
    # FFmpeg weighs all four surrounds of 7.1 alike; BS.1770-4 does not (see test_audio_loudness).
    is_measurable = seconds > 1 and channels < 8
    if is_measurable:
        judge = independent.measure(source)
        assert loudness.integrated_lufs == pytest.approx(judge.integrated_lufs, abs=0.1)
        assert loudness.true_peak_dbtp == pytest.approx(judge.true_peak_dbtp, abs=0.15)

    for artifact in report.artifacts:
        if artifact.path.suffix not in {".dat", ".json"}:
            result = report.results[artifact.path.stem]
            assert isinstance(result, TranscodeResult | NormalizeResult)
            written, written_rate = independent.read_with_rate(artifact.path)
            assert written.shape[0] == result.channels == (min(2, channels) if result.format == "mp3" else channels)
            assert written.shape[1] / written_rate == pytest.approx(report.audio_seconds, abs=0.002), artifact.name
            # FFmpeg decodes every Opus file at 48 kHz.
            assert written_rate == (48_000 if result.format == "opus" else result.sample_rate)
    if is_measurable:
        assert independent.measure(output / "normalize.flac").integrated_lufs == pytest.approx(-30, abs=0.1)
