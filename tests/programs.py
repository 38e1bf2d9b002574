"""Programs that a test needs and that no wheel brings."""

import os
import shutil

import pytest


def program(name: str) -> str:
    """The program's path.

    Where it is missing the test is left out, which pytest's last lines name; CI installs it, and fails instead.
    """
    path = shutil.which(name)
    if path is not None:
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not on the PATH, and CI must have it")
    pytest.skip(f"{name} is not on the PATH")
