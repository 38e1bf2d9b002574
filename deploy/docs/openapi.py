"""Writes docs/openapi.json, as the API serves it at /openapi.json."""

import json
import tempfile
from pathlib import Path

from services.api.app import create_app
from shared.settings import Settings


def page() -> str:
    """The whole file. It does not depend on the environment."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Settings.model_construct(data_dir=Path(folder)))
    return json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(page(), end="")
