"""docs/configuration.md from the settings: `python -m deploy.docs.configuration > docs/configuration.md`."""

import inspect
import re
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from shared.settings import Settings, variable_name

_HEAD = """# Configuration

Every setting, read from the environment and from `.env`. This page is written from `shared/settings.py` by
`make docs`; a test compares the two.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, fields in _sections().items():
        parts.append(f"\n## {title}\n\n| variable | default | what |\n| --- | --- | --- |\n")
        parts += [_row(field, Settings.model_fields[field]) for field in fields]
    return "".join(parts)


def _sections() -> dict[str, list[str]]:
    """The fields under the comments that head them in the class."""
    sections: dict[str, list[str]] = {}
    title = ""
    for line in inspect.getsource(Settings).splitlines():
        if heading := re.fullmatch(r"    # (.+)\.", line):
            title = heading[1]
        elif (field := re.match(r"    (\w+): ", line)) and field[1] in Settings.model_fields:
            sections.setdefault(title, []).append(field[1])
    return sections


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{variable_name(name)}` | {_default(field.default)} | {field.description or ''} |\n"


def _default(value: Any) -> str:
    if value is None or value == "" or isinstance(value, SecretStr):
        return "none"
    return f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")
