"""The catalogue of operations."""

from typing import Any, get_args

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.api.documentation import answers
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


class Catalogue(BaseModel):
    """All operations."""

    model_config = ConfigDict(frozen=True)

    operations: tuple[OperationDescription, ...]


def _name(model: type[BaseModel]) -> str:
    return str(model.model_fields["op"].default)


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
    )
)


@router.get("", responses=answers(500))
async def list_operations() -> Catalogue:
    """List the operations that a job can ask for, each with its parameters, its result and an example."""
    return _CATALOGUE
