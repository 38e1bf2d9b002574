"""Runs openapi-python-client over the document."""

import json
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

PACKAGE = "wavemill_client"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
_OPTIONS = {
    # JSON is YAML, which the generator reads.
    "content_type_overrides": {
        "*/*": "application/octet-stream",
        "application/zip": "application/octet-stream",
        "application/problem+json": "application/json",
    },
    "docstrings_on_attributes": True,
    "post_hooks": [],
}
_TEMPLATE = "endpoint_module.py.jinja"
# Version 0.29 names Unset in a route with several kinds of bodies, and forgets to import it.
_IMPORTED, _NEEDED = "from ...types import Response, UNSET\n", "from ...types import Response, UNSET, Unset\n"


def _document() -> str:
    """The API's document, without what the generator does not understand and Python has other ways for.

    Resumable uploads have clients of their own (tus), and batches go as JSON. Every route takes a client with a key and
    one without, for an API on the same machine needs none before it has one.
    """
    document = json.loads(DOCUMENT.read_text())
    document["paths"] = {path: of for path, of in document["paths"].items() if not path.startswith("/api/uploads/tus")}
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
            operation.get("requestBody", {}).get("content", {}).pop("application/x-ndjson", None)
    return json.dumps(document)


def generate(folder: Path) -> Path:
    """Write the client into a folder, in place of an earlier one; gives the package.

    Raises:
        RuntimeError: the generator failed, or did not understand all of the document.
    """
    package = folder / PACKAGE
    with tempfile.TemporaryDirectory() as work:
        template = files("openapi_python_client").joinpath("templates", _TEMPLATE).read_text()
        (Path(work) / _TEMPLATE).write_text(template.replace(_IMPORTED, _NEEDED))
        document = Path(work) / "openapi.json"
        document.write_text(_document())
        options = Path(work) / "options.yml"
        options.write_text(json.dumps(_OPTIONS))
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "openapi_python_client", "generate", "--overwrite", "--fail-on-warning"),
                *("--path", str(document), "--output-path", str(package), "--meta", "none"),
                *("--config", str(options), "--custom-template-path", work),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode != 0:
        raise RuntimeError(f"The client was not generated:\n{ran.stdout}{ran.stderr}")
    return package
