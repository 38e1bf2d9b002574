"""The examples of the pages for users, run as a reader would run them."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.programs import program
from tests.system import ROOT

_HERE = "http://127.0.0.1:8000"
# Every HTTP error is to end the script.
_STRICT_CURL = 'curl() { command curl --fail-with-body "$@"; }\n'


def examples(page: str, language: str = "sh") -> str:
    """All examples in a language of a page, named from the root of the repository, in their order."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no examples in {language}"
    return "".join(found)


def run_shell(script: str, folder: Path, api_url: object, environment: Mapping[str, str] | None = None) -> str:
    """Run examples in a folder, against the API that is there instead of `make run`'s; gives what they print."""
    program("curl")
    script, places = re.subn(re.escape(_HERE), str(api_url).rstrip("/"), script)
    assert places == 1
    return run(["bash", "-euxo", "pipefail", "-c", _STRICT_CURL + script], folder, environment)


def run(arguments: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program to its end, which is a good one; gives what it prints."""
    ran = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
