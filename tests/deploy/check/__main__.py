"""`make deploy-check`: what deploy/ has for Kubernetes and systemd, before the programs and schemas that judge it.

Nothing is left out: a program or a package that cannot be had is a failure.
"""

# ruff: noqa: T201 - what it says is what it is for
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.deploy.check.kubectl import Unavailable, kubectl
from tests.system import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("dev", "production")
COMPONENTS = ("ingress", "keda", "prometheus-operator")
# The newest, and one that clusters of the cautious still run.
VERSIONS = ("1.37", "1.33")
CHECKOV = "checkov==3.3.30"
VALIDATE = "kubernetes-validate==1.37.0"
# The newest that run on Python 3.11: of KEDA 2.16 and of prometheus-operator 0.80.
SCHEMAS = ("cloudcoil-models-keda==2.16.1.0", "cloudcoil-models-prometheus-operator==0.80.1.0", "pyyaml>=6")
TESTS = tuple(f"tests/deploy/test_{name}.py" for name in ("kubernetes", "monitoring_files", "systemd_units"))


class Failed(Exception):
    """A check did not hold; the message is what its program said."""


def main() -> int:
    """Exit code 0 when all held."""
    started = time.monotonic()
    failures = 0
    with tempfile.TemporaryDirectory(prefix="wavemill-deploy-") as folder:
        for name, check in _checks(Path(folder)):
            try:
                said = _run(*check)
            except (Failed, Unavailable) as error:
                failures += 1
                print(f"FAILED  {name}\n{error}", flush=True)
            else:
                print(f"held    {name}{said}", flush=True)
    print(f"\n{f'{failures} did not hold' if failures else 'All held'} ({time.monotonic() - started:.0f} s)")
    return 1 if failures else 0


def _checks(folder: Path) -> Iterator[tuple[str, Sequence[str | Path]]]:
    """Names and commands; those of what kustomize makes come after it was made."""
    try:
        rendered = _render(folder)
    except (Failed, Unavailable) as error:
        yield "kubectl kustomize", ("false", str(error))
        return
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    tool = (uv, "tool", "run", "--quiet", "--python", sys.executable)
    for version in VERSIONS:
        command = (*tool, "--from", VALIDATE, "kubernetes-validate", "--strict", "-k", version)
        yield f"kubernetes-validate, {version}", (*command, *rendered)
    program = ROOT / "tests/deploy/check/custom_resources.py"
    with_schemas = [argument for package in SCHEMAS for argument in ("--with", package)]
    python = (uv, "run", "--quiet", "--no-project", "--python", sys.executable, *with_schemas, "python")
    yield "schemas of KEDA and prometheus-operator", (*python, program, *rendered)
    # Its warning that it cannot reach its maker is of no concern: hence the level.
    files = [argument for path in rendered for argument in ("-f", path)]
    yield "checkov", ("env", "LOG_LEVEL=CRITICAL", *tool, CHECKOV, "--config-file", KUBERNETES / "checkov.yaml", *files)
    # With systemd-analyze, promtool and amtool, each of which a test leaves out where it is missing, but not here.
    yield "tests/deploy", ("env", "CI=true", sys.executable, "-m", "pytest", "-q", *TESTS)


def _render(folder: Path) -> list[Path]:
    """What `kubectl kustomize` makes of each overlay, and of each component over the base."""
    program = kubectl()
    paths = []
    for name in OVERLAYS:
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(_output(program, "kustomize", KUBERNETES / "overlays" / name))
    for name in COMPONENTS:
        # kustomize takes relative paths alone, and a component only over something.
        root = Path(os.path.relpath(KUBERNETES, folder / name))
        (folder / name).mkdir()
        (folder / name / "kustomization.yaml").write_text(
            f"namespace: wavemill\nresources: [{root / 'base'}]\ncomponents: [{root / 'components' / name}]\n"
        )
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(_output(program, "kustomize", folder / name))
    print(f"held    kubectl kustomize, {len(paths)} times", flush=True)
    return paths


def _output(*command: str | Path) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Failed(f"{command[0]} is not on the PATH; `.ci/run` names the packages that bring it.") from None
    if done.returncode != 0:
        raise Failed(f"{done.stdout}{done.stderr}")
    return done.stdout


def _run(*command: str | Path) -> str:
    """The last line of what it said, when that is a summary."""
    lines = _output(*command).strip().splitlines()
    return f": {lines[-1]}" if lines and "complaints" in lines[-1] else ""


if __name__ == "__main__":
    sys.exit(main())
