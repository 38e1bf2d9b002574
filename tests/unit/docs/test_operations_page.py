"""docs/operations.md against the schema: nothing is missing from it, and every example in it can be sent."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from shared.schema.edits import EDITS
from shared.schema.jobs import JobSpec
from shared.schema.operations import OPERATIONS, Encoding, Operation
from shared.schema.presets import PRESETS
from shared.schema.results import AnyResult

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "operations.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
EXAMPLES = re.findall(r"-F 'spec=(.*?)'\n", PAGE, re.DOTALL)
RESULTS: dict[str, type[BaseModel]] = {
    str(result.model_fields["op"].default): result for result in get_args(get_args(AnyResult)[0])
}


def name_of(operation: type[Operation]) -> str:
    return str(operation.model_fields["op"].default)


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_each_operation_has_a_section_with_an_example(operation: type[Operation]) -> None:
    assert "curl -sS" in SECTIONS[name_of(operation)]
    assert f'"op": "{name_of(operation)}"' in SECTIONS[name_of(operation)]
    assert f"[{name_of(operation)}](#{name_of(operation)})" in PAGE


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_each_parameter_is_explained(operation: type[Operation]) -> None:
    explained = SECTIONS[name_of(operation)]
    if issubclass(operation, Encoding):
        explained += SECTIONS["transcode"]
    names = operation.model_fields.keys() - {"op", "name", "edits"}
    assert [name for name in sorted(names) if f"`{name}" not in explained] == []


@pytest.mark.parametrize("op", RESULTS)
def test_each_field_of_a_result_is_explained(op: str) -> None:
    explained = SECTIONS[op] + (SECTIONS["transcode"] if op == "normalize" else "")
    assert [name for name in sorted(RESULTS[op].model_fields.keys() - {"op"}) if f"`{name}`" not in explained] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_can_be_sent(example: str) -> None:
    JobSpec.model_validate(json.loads(example))


def test_edits_and_presets_are_listed() -> None:
    assert len(EXAMPLES) > len(OPERATIONS)
    for edit in EDITS:
        assert f"`{edit.model_fields['edit'].default}`" in SECTIONS["edits"]
        for name in edit.model_fields.keys() - {"edit"}:
            assert f"`{name}`" in SECTIONS["edits"]
    for preset in PRESETS:
        assert f"`{preset}`" in SECTIONS["presets"]


def test_pictures_are_there() -> None:
    pictures = re.findall(r"!\[.+?\]\((images/.+?)\)", PAGE)
    assert len(pictures) == 4
    for picture in pictures:
        assert (DOCS / picture).read_bytes().startswith(b"\x89PNG")
