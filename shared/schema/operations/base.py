"""What every operation has: a name, a summary and an example."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.schema.names import Name


class Operation(BaseModel):
    """One thing to do with the input. `name` is the key of its result and the stem of its artifacts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    summary: ClassVar[str]
    example: ClassVar[dict[str, Any]]

    op: str
    name: Name | None = Field(
        default=None,
        description="Key of this operation's result and stem of its artifacts; the operation's own name, "
        "numbered from the second on, when left out.",
    )

    def stated(self) -> dict[str, Any]:
        """As JSON, without the parameters that have their defaults: those of the day on which it is read hold."""
        whole, fields = self.model_dump(mode="json"), type(self).model_fields
        return {
            name: whole[name]
            for name, field in fields.items()
            if name == "op" or getattr(self, name) != field.get_default(call_default_factory=True)
        }
