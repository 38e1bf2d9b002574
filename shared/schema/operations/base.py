"""What every operation has: a name, a summary and an example."""

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 of a-z, 0-9, '-' and '_', and starts and ends with a letter or digit")
    return name


class Operation(BaseModel):
    """One thing to do with the input. `name` is the key of its result and the stem of its artifacts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    summary: ClassVar[str]
    example: ClassVar[dict[str, Any]]

    op: str
    name: Annotated[str, AfterValidator(_check_name)] | None = Field(
        default=None,
        description="Key of this operation's result and stem of its artifacts; the operation's own name, "
        "numbered from the second on, when left out.",
    )
