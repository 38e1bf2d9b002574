"""`make compose-test`: docker-compose.yml on a real engine, from the build to the last container's end."""

# ruff: noqa: T201 - what it says is what it is for
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from deploy.compose.environment import write
from deploy.local.processes import LOCALHOST, free_port
from tests.deploy.compose import images
from tests.deploy.compose.project import Failed, Project, engine_answers
from tests.deploy.compose.scenario import Scenario

_PULL_SECONDS = 300


def main() -> int:
    """Exit code 0 when all held; 2 without a Docker engine."""
    if not engine_answers():
        print("No Docker engine answers here; start one, and say `make compose-test` again.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _interrupt)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="wavemill-compose-") as folder:
        project = _project(Path(folder))
        try:
            failure = _run(project)
        finally:
            project.destroy()
            project.remove_images()
    left_over = project.left_over()
    if left_over:
        failure = f"{failure or ''}\nThe end of the project left behind: {', '.join(left_over)}."
    print(f"\n{failure or 'All held'} ({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failure else 0


def _run(project: Project) -> str | None:
    """What failed, with the services' last lines; None when all held."""
    grafana = images.of_services()["grafana"]
    with_grafana = _can_be_had(grafana)
    if not with_grafana:
        print(f"LEFT OUT: Grafana, for {grafana} cannot be pulled here.")
    try:
        Scenario(project, with_grafana=with_grafana, say=lambda line: print(line, flush=True)).run()
    except Failed as error:
        print(project.logs())
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted."
    return None


def _project(folder: Path) -> Project:
    env_file = folder / "env"
    write(env_file)
    names = ("API", "GRAFANA", "MONITOR", "PROMETHEUS", "ALERTMANAGER")
    published = {f"{name}_PUBLISHED_AT": f"{LOCALHOST}:{free_port()}" for name in names}
    name = f"wavemill-test-{secrets.token_hex(3)}"
    return Project(name, {"VERSION": name, **published}, env_file)


def _can_be_had(image: str) -> bool:
    """Whether an image is there, or can be pulled."""
    for command in (("image", "inspect", image), ("pull", "--quiet", image)):
        done = subprocess.run(["docker", *command], capture_output=True, check=False, timeout=_PULL_SECONDS)
        if done.returncode == 0:
            return True
    return False


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
