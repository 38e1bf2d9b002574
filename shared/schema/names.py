"""What a client may call an operation, a further input or a preset: safe in a path, a URL and a file name."""

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")


def _check(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 of a-z, 0-9, '-' and '_', and starts and ends with a letter or digit")
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_check)]
