"""What every result has."""

from pydantic import BaseModel, ConfigDict


class Result(BaseModel):
    """The answer of one operation."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    op: str
