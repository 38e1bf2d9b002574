"""What each image holds: its own code and dependencies, and nothing of the other services.

The files and the environment of an image are made here as its Dockerfile makes them, without an engine, and every
module in it is imported by a Python that finds nothing else.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.compose.images import DOCKERFILES
from tests.system import ROOT

# What the code of each imports by itself, beside the standard library. A new line here is a new thing in an image.
IMPORTS: Mapping[str, set[str]] = {
    "shared": {
        *("alembic", "asyncpg", "celery", "kombu", "obstore", "opentelemetry", "prometheus_client", "pydantic"),
        *("pydantic_core", "pydantic_settings", "redis", "sqlalchemy", "structlog", "uuid_utils"),
    },
    "services/api": {
        *("anyio", "fastapi", "prometheus_client", "pydantic", "pydantic_core", "python_multipart", "redis"),
        *("sse_starlette", "starlette", "structlog", "werkzeug"),
    },
    "services/worker": {
        *("PIL", "av", "celery", "httpcore", "httpx", "kombu", "lameenc", "numpy", "opentelemetry"),
        *("prometheus_client", "psutil", "pydantic", "redis", "scipy", "soxr", "structlog", "tenacity"),
        *("threadpoolctl", "uvloop"),
    },
    "services/monitor": {
        *("fastapi", "itsdangerous", "jinja2", "prometheus_client", "pydantic", "pydantic_core", "redis"),
        *("starlette", "structlog", "uvicorn"),
    },
}
# Of the other services' groups: what must not even be installed.
WALLS: Mapping[str, set[str]] = {
    "api": {"PIL", "av", "lameenc", "numpy", "scipy", "soxr", "flower"},
    "worker": {"fastapi", "starlette", "uvicorn", "python_multipart", "werkzeug", "flower"},
    "monitor": {"PIL", "av", "lameenc", "numpy", "scipy", "soxr", "python_multipart", "werkzeug", "flower"},
}
_IMPORT_ALL = """
import importlib, importlib.util, json, pkgutil, sys
import shared, services
def all_of(package):
    yield package.__name__
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        # Alembic alone can run these.
        if not found.name.startswith("shared.store.migrations."):
            yield found.name
names = [name for package in (shared, services) for name in all_of(package)]
for name in names:
    importlib.import_module(name)
print(json.dumps({
    "modules": names,
    "outside": [name for name in sys.modules if name.partition(".")[0] in ("deploy", "tests")],
    "installed": [name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None],
}))
"""


@dataclass(frozen=True)
class Recipe:
    """What a Dockerfile says."""

    service: str
    text: str

    @property
    def copied(self) -> list[str]:
        """Paths in the checkout that are copied into the image, by the same path."""
        found = re.findall(r"^COPY (?!--from)(\S+) (\S+)$", self.text, re.MULTILINE)
        assert all(source == target for source, target in found)
        return [source for source, _ in found]

    @property
    def groups(self) -> list[str]:
        """Arguments of the `uv sync` that fills the environment of the default target."""
        return str(re.findall(r"uv sync (.+)", self.text)[0]).split()


RECIPES = {path.parent.name: Recipe(path.parent.name, path.read_text()) for path in DOCKERFILES}
each_image = pytest.mark.parametrize("service", RECIPES)


def imported(folder: str) -> set[str]:
    """Top-level packages from elsewhere that the modules of a folder import."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"shared", "services"}


def test_there_is_an_image_for_each_service() -> None:
    assert set(RECIPES) == {"api", "worker", "monitor"}


@pytest.mark.parametrize("folder", IMPORTS)
def test_what_the_code_of_an_image_imports_is_listed(folder: str) -> None:
    assert imported(folder) == IMPORTS[folder]


@each_image
def test_an_image_holds_shared_and_its_own_service_and_its_own_group(service: str) -> None:
    recipe = RECIPES[service]
    assert recipe.copied == ["shared/", "services/__init__.py", f"services/{service}/"]
    assert recipe.groups == ["--frozen", "--no-default-groups", "--group", service]


@each_image
def test_an_image_can_import_all_of_it_and_nothing_of_the_others(service: str, tmp_path: Path) -> None:
    recipe = RECIPES[service]
    for source in recipe.copied:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.endswith("/"):
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / source, target)
    found = json.loads(run_in_image(tmp_path, recipe, *WALLS[service]))
    assert found == {"modules": found["modules"], "outside": [], "installed": []}
    parts = {name.split(".")[1] for name in found["modules"] if name.startswith("services.")}
    assert parts == {service}
    assert len(found["modules"]) > 30


def run_in_image(folder: Path, recipe: Recipe, *arguments: str) -> str:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv is not None, "run the tests by `make test` or `uv run pytest`"
    for name in ("pyproject.toml", "uv.lock"):
        shutil.copyfile(ROOT / name, folder / name)
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("VIRTUAL_ENV", "PYTHON", "WAVEMILL"))
    }
    environment = {**kept, "UV_PROJECT_ENVIRONMENT": str(folder / "venv"), "UV_PYTHON": sys.executable}
    subprocess.run([uv, "sync", "--quiet", *recipe.groups], cwd=folder, env=environment, check=True)
    done = subprocess.run(
        [folder / "venv/bin/python", "-c", _IMPORT_ALL, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@each_image
def test_an_image_runs_without_root_in_exec_form_and_says_what_it_is(service: str) -> None:
    text = RECIPES[service].text
    final = text[text.rindex("\nFROM ") :]
    assert 'CMD ["' in final
    assert not re.search(r"^(CMD|ENTRYPOINT) [^\[]", text, re.MULTILINE)
    assert "USER 10001:10001" in text
    assert text.index("groupadd --gid 10001") < text.index("USER 10001:10001")
    assert text.startswith("# ")
    assert "--mount=type=cache" in text
    labels = {"title", "description", "licenses", "version", "revision"}
    assert set(re.findall(r"org\.opencontainers\.image\.(\w+)=", text)) == labels
    # The stage that runs takes files from others, and neither uv nor the checkout.
    assert not re.search(r"^COPY (?!--from=(dependencies|code) )", final, re.MULTILINE)


def test_the_builder_is_given_nothing_but_what_images_are_made_of() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {"!pyproject.toml", "!uv.lock", "!shared", "!services"}


class TestLiveness:
    """The worker's health check."""

    def asked(self, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", "-m", "services.worker.liveness"],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_a_file_that_was_touched_lately_is_a_worker_that_lives(self, tmp_path: Path) -> None:
        file = tmp_path / "heartbeat"
        file.touch()
        assert self.asked(WAVEMILL_WORKER_HEARTBEAT_FILE=str(file)).returncode == 0

    def test_an_old_file_is_a_worker_that_hangs(self, tmp_path: Path) -> None:
        file = tmp_path / "heartbeat"
        file.touch()
        os.utime(file, (time.time() - 60, time.time() - 60))
        done = self.asked(WAVEMILL_WORKER_HEARTBEAT_FILE=str(file))
        assert done.returncode == 1
        assert "has not turned for 60 s" in done.stderr

    def test_no_file_and_no_name_are_said(self, tmp_path: Path) -> None:
        done = self.asked(WAVEMILL_WORKER_HEARTBEAT_FILE=str(tmp_path / "none"))
        assert (done.returncode, done.stderr) == (1, "The worker has not started yet.\n")
        done = self.asked()
        assert done.returncode == 1
        assert "names no file" in done.stderr
