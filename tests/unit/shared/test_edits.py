"""What may be asked of edits, splits, albums and presets, and what not."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.schema.edits import EDITS, AnyEdit, Edited
from shared.schema.jobs import JobSpec
from shared.schema.operations import OPERATIONS, Probe, input_names
from shared.schema.presets import PRESETS, Preset


def spec(*operations: dict[str, Any]) -> JobSpec:
    return JobSpec.model_validate({"operations": operations})


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_the_catalogues_examples_are_valid(edit: Any) -> None:
    assert isinstance(TypeAdapter(AnyEdit).validate_python(edit.example), edit)


def test_every_operation_but_probe_takes_edits() -> None:
    assert {operation for operation in OPERATIONS if not issubclass(operation, Edited)} == {Probe}


@pytest.mark.parametrize(
    "edit",
    [
        {"edit": "reverse"},
        {"edit": "trim", "end_seconds": 1, "duration_seconds": 1},
        {"edit": "trim", "start_seconds": 2, "end_seconds": 2},
        {"edit": "trim", "start_seconds": -1},
        {"edit": "trim", "start_seconds": 1e300},
        {"edit": "fade"},
        {"edit": "fade", "in_seconds": float("nan")},
        {"edit": "fade", "in_seconds": 1, "curve": "round"},
        {"edit": "concatenate", "inputs": []},
        {"edit": "concatenate", "inputs": ["../etc"]},
        {"edit": "intro"},
        {"edit": "remove_silence", "min_seconds": 0.2, "keep_seconds": 0.2},
        {"edit": "remove_silence", "keep_seconds": 0.001},
        {"edit": "high_pass", "order": 9},
        {"edit": "denoise", "noise_floor_dbfs": 0},
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(edit: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec({"op": "loudness", "edits": [edit]})


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "split"},
        {"op": "split", "every_seconds": 60, "at_seconds": [1]},
        {"op": "split", "at_seconds": [2, 1]},
        {"op": "split", "at_seconds": [0]},
        {"op": "split", "at_seconds": [1, 1e300]},
        {"op": "split", "every_seconds": 1e300},
        {"op": "split", "every_seconds": 60, "max_parts": 501},
        {"op": "normalize", "album": ["a", "a"]},
        {"op": "normalize", "check": "cd"},
        {"op": "loudness", "edits": [{"edit": "high_pass"}] * 17},
    ],
)
def test_an_operation_that_makes_no_sense_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(operation)


@pytest.mark.parametrize(
    ("operation", "other"),
    [({"op": "split", "every_seconds": 60}, "split-001"), ({"op": "normalize", "album": ["b"]}, "normalize-b")],
)
def test_two_operations_never_write_the_same_file(operation: dict[str, Any], other: str) -> None:
    with pytest.raises(ValidationError, match=f"{other} has the name of a file"):
        spec(operation, {"op": "transcode", "format": "mp3", "name": other})


def test_a_job_has_a_few_chains_of_edits() -> None:
    def trimmed(count: int) -> list[dict[str, Any]]:
        edits = [[{"edit": "trim", "start_seconds": start}] for start in range(count)]
        return [{"op": "loudness", "edits": chain} for chain in (*edits, *edits, [])]

    spec(*trimmed(8))
    with pytest.raises(ValidationError, match="at most 8 different chains of edits, and this one 9"):
        spec(*trimmed(9))


def test_the_inputs_that_operations_name() -> None:
    jingle = {"edit": "intro", "input": "jingle"}
    operations = spec(
        {"op": "loudness", "edits": [jingle, {"edit": "concatenate", "inputs": ["b", "c"]}]},
        {"op": "normalize", "album": ["d"], "edits": [jingle, {"edit": "outro", "input": "e"}]},
        {"op": "probe"},
    ).operations
    assert input_names(operations) == {"jingle", "b", "c", "d", "e"}


def test_a_spec_with_edits_survives_the_store() -> None:
    given = spec({"op": "split", "at_silence": {}, "edits": [edit.example for edit in EDITS]})
    assert JobSpec.model_validate(given.model_dump(mode="json")) == given


def test_presets_are_specs() -> None:
    assert set(PRESETS) == {"podcast", "audiobook", "music-streaming", "broadcast-r128", "voice-note"}
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert Preset.model_validate_json(preset.model_dump_json()) == preset
        assert JobSpec(operations=preset.operations).operations == preset.operations
