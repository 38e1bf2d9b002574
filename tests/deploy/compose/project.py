"""One project of docker-compose.yml with passwords, ports and volumes of its own, driven as an operator does."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system import ROOT

FILES = ("docker-compose.yml", "deploy/compose/operators.yml")
_COMMAND_SECONDS = 300.0
_POLL_SECONDS = 0.5


class Failed(Exception):
    """What should hold does not."""


@dataclass(frozen=True)
class Container:
    """A container, as `docker inspect` shows it."""

    facts: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The whole id; its first 12 digits are the container's host name."""
        return str(self.facts["Id"])

    @property
    def service(self) -> str:
        """What it is called in the compose file."""
        return str(self.facts["Config"]["Labels"]["com.docker.compose.service"])

    @property
    def is_well(self) -> bool:
        """Running and healthy; for one without a health check, ended with exit code 0."""
        state = self.facts["State"]
        if "Health" not in state:
            return bool(state["Status"] == "exited" and state["ExitCode"] == 0)
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    @property
    def pid(self) -> int:
        """Of its first process, on the engine's machine."""
        return int(self.facts["State"]["Pid"])

    @property
    def restarts(self) -> int:
        """How often its restart policy started it again."""
        return int(self.facts["RestartCount"])

    @property
    def exit_code(self) -> int:
        """Of one that has ended."""
        return int(self.facts["State"]["ExitCode"])

    @property
    def addresses(self) -> list[str]:
        """Its IPv4 addresses, one for each network."""
        return [network["IPAddress"] for network in self.facts["NetworkSettings"]["Networks"].values()]


class Project:
    """Commands fail with Failed, which has their last lines."""

    def __init__(self, name: str, variables: Mapping[str, str], env_file: Path) -> None:
        """The variables are appended to the secrets in the file."""
        self.name = name
        self.variables = variables
        self._env_file = env_file
        with env_file.open("a") as file:
            file.writelines(f"{key}={value}\n" for key, value in variables.items())
        files = [argument for path in FILES for argument in ("-f", str(ROOT / path))]
        self._compose = [*_compose_command(), "--env-file", str(env_file), "-p", name, *files]
        # Variables of the developer's shell would win over the file's.
        kept = ("PATH", "HOME", "TMPDIR", "LANG")
        environment = {key: value for key, value in os.environ.items() if key in kept or key.startswith("DOCKER_")}
        self._environment = {**environment, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"}

    def secret(self, name: str) -> str:
        """One of the secrets in the file."""
        lines = (line.partition("=") for line in self._env_file.read_text().splitlines())
        return next(value for key, _, value in lines if key == name)

    def compose(self, *arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
        """Run `docker compose` for this project; gives what it printed."""
        return self._run([*self._compose, *arguments], seconds).decode()

    def compose_bytes(self, *arguments: str, reads: bytes = b"") -> bytes:
        """The same, for what is no text: gives what it printed when it had read some bytes."""
        return self._run([*self._compose, *arguments], _COMMAND_SECONDS, reads)

    def docker(self, *arguments: str, seconds: float = _COMMAND_SECONDS) -> str:
        """Run `docker`; gives what it printed."""
        return self._run(["docker", *arguments], seconds).decode()

    def scale(self, service: str, replicas: int) -> None:
        """Run so many containers of a service; what runs already is left alone."""
        self.compose("up", "-d", "--no-recreate", "--no-deps", "--scale", f"{service}={replicas}", service)

    def containers(self, service: str | None = None) -> list[Container]:
        """The project's containers, also those that have ended."""
        wanted = [f"--filter=label=com.docker.compose.project={self.name}"]
        if service is not None:
            wanted.append(f"--filter=label=com.docker.compose.service={service}")
        ids = self.docker("ps", "--all", "--quiet", "--no-trunc", *wanted).split()
        return [Container(facts) for facts in json.loads(self.docker("inspect", *ids))] if ids else []

    def container(self, service: str) -> Container:
        """The one container of a service."""
        found = self.containers(service)
        if len(found) != 1:
            raise Failed(f"{service} has {len(found)} containers, not 1.")
        return found[0]

    def python(self, service: str, program: str, *arguments: str) -> str:
        """Run a program in a service's container, with its rights and in its networks."""
        return self.docker("exec", self.container(service).id, "python", "-c", program, *arguments)

    def crash(self, service: str) -> None:
        """SIGKILL to the first process of a service's container, from outside of it.

        `docker kill` would count as the operator's wish, after which no restart policy starts it again.
        """
        killer = "import os, sys; os.kill(int(sys.argv[1]), 9)"
        pid = str(self.container(service).pid)
        image = self.container("worker-io").facts["Config"]["Image"]
        self.docker("run", "--rm", "--pid=host", "--user=0", "--network=none", image, "python", "-c", killer, pid)

    def wait_until_well(self, services: Sequence[str], seconds: float) -> None:
        """Wait until every container of the services is well."""

        def ill() -> list[str]:
            found = self.containers()
            absent = set(services) - {container.service for container in found}
            return sorted(absent | {one.service for one in found if one.service in services and not one.is_well})

        wait_until(lambda: not ill(), seconds, lambda: f"not well: {', '.join(ill())}\n{self.logs(*ill())}")

    def logs(self, *services: str) -> str:
        """The last lines of some services."""
        return self.compose("logs", "--no-color", "--tail=25", *services)

    def destroy(self) -> None:
        """End everything and remove it: containers, networks and volumes, with all that they hold."""
        self.compose("--profile", "flower", "--profile", "s3", "down", "--volumes", "--remove-orphans", "-t", "5")

    def remove_images(self) -> None:
        """Those that were built for this project's version; their layers stay in the builder's cache."""
        tag = self.variables["VERSION"]
        images = self.docker("images", "--quiet", f"--filter=reference=wavemill-*:{tag}").split()
        if images:
            self.docker("rmi", "--force", *set(images))

    def left_over(self) -> list[str]:
        """What of the project is there: nothing, after `down`."""
        label = f"--filter=label=com.docker.compose.project={self.name}"
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [line for kind in kinds for line in self.docker(*kind, "--quiet", label).split()]

    def _run(self, command: Sequence[str], seconds: float, reads: bytes = b"") -> bytes:
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=self._environment, input=reads, capture_output=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"`{' '.join(command)}` did not end within {seconds:.0f} s.") from None
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).decode(errors="replace").splitlines()[-40:])
            raise Failed(f"`{' '.join(command)}` ended with exit code {done.returncode}:\n{said}")
        return done.stdout


def wait_until(condition: Callable[[], bool], seconds: float, complaint: Callable[[], str]) -> None:
    """Wait until a condition holds.

    Raises:
        Failed: it does not within the time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"After {seconds:.0f} s: {complaint()}")
        time.sleep(_POLL_SECONDS)


def engine_answers() -> bool:
    """Whether there is a Docker engine."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=60).returncode == 0


def _compose_command() -> list[str]:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is not None:
        return ["docker-compose"]
    raise Failed("There is neither `docker compose` nor `docker-compose`; install one of them.")
