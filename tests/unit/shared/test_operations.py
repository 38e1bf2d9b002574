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
        [{"op": "normalize", "target_lufs": 3}],
        [{"op": "normalize", "target_lufs": float("nan")}],
        [{"op": "normalize", "true_peak_dbtp": 1}],
        [{"op": "waveform", "samples_per_pixel": 1}],
        [{"op": "waveform", "bits": 12}],
        [{"op": "waveform", "formats": []}],
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
