"""The catalogue of operations."""

from typing import Any, get_args

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.api.documentation import answers
from shared.schema.edits import EDITS
from shared.schema.operations import OPERATIONS
from shared.schema.results import AnyResult

router = APIRouter(prefix="/api/operations", tags=["operations"])


class OperationDescription(BaseModel):
    """What an operation does, takes and answers."""

    model_config = ConfigDict(frozen=True)

    op: str = Field(description="Its name in a job spec.")
    summary: str
    example: dict[str, Any] = Field(description="As it may stand in a job spec.")
    parameters: dict[str, Any] = Field(description="JSON Schema of what a job spec says of it.")
    result: dict[str, Any] = Field(description="JSON Schema of its entry in a job's `results`.")


class EditDescription(BaseModel):
    """What an edit does and takes."""

    model_config = ConfigDict(frozen=True)

    edit: str = Field(description="Its name in an operation's `edits`.")
    summary: str
    example: dict[str, Any] = Field(description="As it may stand in an operation's `edits`.")
    parameters: dict[str, Any] = Field(description="JSON Schema of what `edits` say of it.")


class Catalogue(BaseModel):
    """All operations, and all edits that may come before them."""

    model_config = ConfigDict(frozen=True)

    operations: tuple[OperationDescription, ...]
    edits: tuple[EditDescription, ...]


def _name(model: type[BaseModel], field: str = "op") -> str:
    return str(model.model_fields[field].default)


# AnyResult is Annotated[a union of models, ...].
_RESULTS: dict[str, type[BaseModel]] = {_name(result): result for result in get_args(get_args(AnyResult)[0])}
_CATALOGUE = Catalogue(
    operations=tuple(
        OperationDescription(
            op=_name(operation),
            summary=operation.summary,
            example=operation.example,
            parameters=operation.model_json_schema(),
            result=_RESULTS[_name(operation)].model_json_schema(mode="serialization"),
        )
        for operation in OPERATIONS
    ),
    edits=tuple(
        EditDescription(
            edit=_name(edit, "edit"), summary=edit.summary, example=edit.example, parameters=edit.model_json_schema()
        )
        for edit in EDITS
    ),
)


@router.get("", responses=answers(500))
async def list_operations() -> Catalogue:
    """List the operations and edits that a job can ask for, with their parameters, results and examples."""
    return _CATALOGUE
