"""What a client may ask for, and what it may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.schema.jobs import JobSpec
from shared.schema.operations import OPERATIONS


def spec(*operations: dict[str, Any]) -> JobSpec:
    return JobSpec.model_validate({"operations": operations})


def test_each_operation_gets_a_name_of_its_own() -> None:
    given = spec(
        {"op": "transcode", "format": "mp3"},
        {"op": "transcode", "format": "opus"},
        {"op": "transcode", "format": "flac", "name": "transcode-2"},
        {"op": "loudness"},
    )
    assert [operation.name for operation in given.operations] == [
        "transcode",
        "transcode-3",
        "transcode-2",
        "loudness",
    ]


def test_a_spec_survives_the_store() -> None:
    given = spec({"op": "normalize", "target_lufs": -14}, {"op": "waveform", "formats": ["dat", "json"]})
    assert JobSpec.model_validate(given.model_dump(mode="json")) == given


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_the_catalogues_examples_are_valid(operation: Any) -> None:
    assert isinstance(spec(operation.example).operations[0], operation)


@pytest.mark.parametrize(
    "operations",
    [
        [],
        [{"op": "reverse"}],
        [{"op": "loudness", "unknown": 1}],
        [{"op": "transcode"}],
        [{"op": "transcode", "format": "mp3", "channels": 6}],
        [{"op": "transcode", "format": "mp3", "bitrate_kbps": 400}],
        [{"op": "transcode", "format": "flac", "bitrate_kbps": 128}],
        [{"op": "transcode", "format": "opus", "sample_rate": 44100}],
        [{"op": "transcode", "format": "wav", "sample_rate": 1}],
        [{"op": "transcode", "format": "vorbis"}],
        [{"op": "transcode", "format": "mp3", "quality": 10}],
        [{"op": "transcode", "format": "mp3", "quality": 2, "bitrate_kbps": 128}],
        [{"op": "transcode", "format": "mp3", "quality": 2, "rate_control": "cbr"}],
        [{"op": "transcode", "format": "mp3", "rate_control": "vbr", "bitrate_kbps": 128}],
        [{"op": "transcode", "format": "opus", "quality": 2}],
        [{"op": "transcode", "format": "aac", "rate_control": "vbr"}],
        [{"op": "transcode", "format": "mp3", "bit_depth": 16}],
        [{"op": "transcode", "format": "flac", "bit_depth": 32}],
        [{"op": "transcode", "format": "wav", "bit_depth": 20}],
        [{"op": "transcode", "format": "alac", "channels": 8}],
        [{"op": "transcode", "format": "wav", "compression_level": 5}],
        [{"op": "transcode", "format": "wav", "loudness_tags": True}],
        [{"op": "transcode", "format": "mp3", "tags": {"mood": "blue"}}],
        [{"op": "transcode", "format": "mp3", "tags": {"title": "nul\0"}}],
        [{"op": "transcode", "format": "mp3", "tags": {"title": "x" * 1001}}],
        [{"op": "normalize", "target_lufs": 3}],
        [{"op": "normalize", "target_lufs": float("nan")}],
        [{"op": "normalize", "true_peak_dbtp": 1}],
        [{"op": "waveform", "samples_per_pixel": 1}],
        [{"op": "waveform", "bits": 12}],
        [{"op": "waveform", "formats": []}],
        [{"op": "waveform", "samples_per_pixel": 256, "pixels_per_second": 100}],
        [{"op": "waveform", "version": 1, "split_channels": True}],
        [{"op": "waveform", "picture": {"wave_color": "red"}}],
        [{"op": "waveform", "picture": {"width": 100_000}}],
        [{"op": "loudness", "series": ["xml"]}],
        [{"op": "spectrogram", "frequency_scale": "bark"}],
        [{"op": "spectrogram", "min_hz": 500, "max_hz": 500}],
        [{"op": "spectrogram", "frequency_scale": "log", "min_hz": 0}],
        [{"op": "spectrogram", "frequency_scale": "log", "max_hz": 15}],
        [{"op": "spectrogram", "width": 100_000}],
        [{"op": "silence", "threshold_dbfs": 1}],
        [{"op": "silence", "min_seconds": 0}],
        [{"op": "loudness", "name": "../etc"}],
        [{"op": "loudness", "name": ""}],
        [{"op": "loudness", "name": "same"}, {"op": "probe", "name": "same"}],
        [{"op": "loudness"}] * 33,
    ],
)
def test_what_makes_no_sense_is_refused(operations: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        spec(*operations)


def test_why_there_is_no_vorbis_is_said() -> None:
    with pytest.raises(ValidationError, match=r"vorbis is not written.*take opus"):
        spec({"op": "transcode", "format": "vorbis"})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "transcode", "format": "mp3", "rate_control": "vbr"},
        {"op": "transcode", "format": "mp3", "quality": 0, "rate_control": "vbr"},
        {"op": "transcode", "format": "opus", "rate_control": "cbr", "bitrate_kbps": 64},
        {"op": "transcode", "format": "wav", "bit_depth": 32},
        {"op": "transcode", "format": "alac", "channels": 6, "tags": {"title": "Two\nlines", "artist": ""}},
        {"op": "normalize", "format": "flac", "compression_level": 12, "bit_depth": 24},
        {"op": "waveform", "formats": ["svg"], "picture": {"background_color": "#FFFFFF00"}},
        {"op": "loudness", "series": ["csv", "json"], "replay_gain": True},
    ],
)
def test_what_makes_sense_is_taken_and_survives_the_store(operation: dict[str, Any]) -> None:
    given = spec(operation)
    assert JobSpec.model_validate(given.model_dump(mode="json")) == given
