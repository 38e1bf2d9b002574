"""docs/openapi.json is what the API serves, and says of each thing what it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from deploy.docs.openapi import page
from services.api.examples import EXAMPLES
from services.api.glossary import FIELDS, SCHEMAS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(page())
    return loaded


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def properties(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            yield name, field, described


def test_the_file_is_up_to_date() -> None:
    assert (ROOT / "docs" / "openapi.json").read_text() == page(), "the API has changed: run `make docs`"


def test_every_field_and_model_says_what_it_is(document: dict[str, Any]) -> None:
    silent = [f"{name}.{field}" for name, field, of in properties(document) if not {"description", "const"} & of.keys()]
    silent += [name for name, schema in document["components"]["schemas"].items() if "description" not in schema]
    assert silent == [], "give these a description, or services/api/glossary.py a word"


def test_every_route_parameter_and_answer_says_what_it_is(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (name, parameter["name"])
        for status, answer in operation["responses"].items():
            assert answer["description"] != "Successful Response", (name, status)


def test_no_word_of_the_glossary_is_idle(document: dict[str, Any]) -> None:
    """A word that no field needs any more goes."""
    used = {of.get("description") for _, _, of in properties(document)}
    used |= {parameter["description"] for _, each in operations(document) for parameter in each.get("parameters", ())}
    assert [word for word, description in FIELDS.items() if description not in used] == []
    assert set(SCHEMAS) <= set(document["components"]["schemas"])


def test_every_body_has_an_example_and_every_example_is_one(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, operation in operations(document):
        bodies = [answer for status, answer in operation["responses"].items() if status < "4"]
        for body in [*bodies, operation.get("requestBody", {})]:
            schema = body.get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                model = schemas[schema["$ref"].rpartition("/")[2]]
                assert {"example", "examples"} & model.keys() or model["title"] == "Catalogue", (name, model["title"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_its_schema_says(document: dict[str, Any], name: str) -> None:
    schema = document | {"$schema": Draft202012Validator.META_SCHEMA["$id"], "$ref": f"#/components/schemas/{name}"}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(EXAMPLES[name])] == []
