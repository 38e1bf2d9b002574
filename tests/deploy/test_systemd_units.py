"""The units of deploy/systemd: systemd takes them, they may do little, and they agree with docker-compose.yml."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from shared.broker import QUEUES
from shared.settings import Settings, variable_name
from tests.programs import program
from tests.system import ROOT

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
COMPOSE: Mapping[str, Mapping[str, object]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
# In tenths, as `--threshold` wants it: 0 may do nothing, 100 everything.
EXPOSURE = 20

each_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)


def of_compose(path: Path) -> Mapping[str, object]:
    return COMPOSE[path.stem.removeprefix("wavemill-").removesuffix("@")]


def values(path: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


def value(path: Path, key: str) -> str:
    (found,) = values(path, key)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, for the checkout and the environment that the tests run in."""
    for path in (*UNITS, FOLDER / "wavemill.target"):
        text = path.read_text().replace("/opt/wavemill/.venv/bin", str(Path(sys.executable).parent))
        (tmp_path / path.name).write_text(text.replace("/opt/wavemill", str(ROOT)))
    return tmp_path


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program("systemd-analyze"), "--no-pager", *arguments], capture_output=True, text=True, check=False
    )


def test_there_is_a_unit_for_each_service_of_compose() -> None:
    assert [path.stem for path in UNITS] == [
        f"wavemill-{name}" for name in ("api", "migrate", "monitor", "worker-io", "worker@")
    ]


def test_systemd_takes_the_units_and_the_programs_are_there(installed: Path) -> None:
    # An instance of the template, not the template.
    (installed / "wavemill-worker@1.service").symlink_to(installed / "wavemill-worker@.service")
    names = [path.name.replace("@.", "@1.") for path in UNITS]
    done = analyze("verify", "--man=no", "--recursive-errors=no", *(installed / name for name in names))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    # Of an unknown key, it warns alone.
    assert not [line for line in said.splitlines() if "wavemill" in line], said


@each_unit
def test_a_unit_may_do_little(path: Path, installed: Path) -> None:
    unit = installed / path.name
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_threshold_says_no_to_a_unit_that_may_do_more(installed: Path) -> None:
    unit = installed / "wavemill-api.service"
    text = unit.read_text().replace("ProtectSystem=strict\n", "").replace("User=wavemill\n", "")
    unit.write_text(text.replace("CapabilityBoundingSet=\n", ""))
    assert analyze("security", "--offline=true", f"--threshold={EXPOSURE}", unit).returncode != 0


@each_unit
def test_a_unit_has_the_limits_of_its_container(path: Path) -> None:
    service = of_compose(path)
    memory = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", str(service["mem_limit"]))
    cpus = re.sub(r"\$\{\w+:-(\w+)\}", r"\1", str(service["cpus"]))
    assert value(path, "MemoryMax").lower() == memory
    assert value(path, "CPUQuota") == f"{float(cpus):.0%}"
    assert value(path, "TasksMax") == str(service["pids_limit"])
    if path.stem != "wavemill-migrate":
        assert f"{value(path, 'TimeoutStopSec')}s" == service["stop_grace_period"]
        # SIGTERM must not reach a worker's children.
        assert value(path, "KillMode") == "mixed"
        assert value(path, "Requires") == "wavemill-migrate.service"


@each_unit
def test_each_variable_is_a_setting(path: Path) -> None:
    variables = {pair.partition("=")[0] for line in values(path, "Environment") for pair in line.split()}
    known = {variable_name(field) for field in Settings.model_fields}
    assert variables - known == {"PYTHONDONTWRITEBYTECODE"}
    assert value(path, "EnvironmentFile") == "/etc/wavemill/wavemill.env"


def test_the_commands_are_those_of_the_images() -> None:
    def command(name: str) -> list[str]:
        return value(FOLDER / f"wavemill-{name}.service", "ExecStart").split()

    def image(service: str) -> list[str]:
        text = (ROOT / f"services/{service}/Dockerfile").read_text()
        return re.findall(r'"([^"]+)"', re.findall(r"^CMD (.+)$", text, re.MULTILINE)[-1])

    programs = {name: command(name)[0].removeprefix("/opt/wavemill/.venv/bin/") for name in ("api", "monitor")}
    assert [programs["api"], *command("api")[1:]] == [
        "127.0.0.1" if argument == "0.0.0.0" else argument for argument in image("api")
    ]
    assert [programs["monitor"], *command("monitor")[1:]] == image("monitor")
    assert command("worker@")[1:-1] == image("worker")[1:-1]
    queues = [queue for name in ("worker@", "worker-io") for queue in command(name)[-3].split(",")]
    assert sorted(queues) == sorted(QUEUES)


def test_a_media_worker_reaches_this_server_alone() -> None:
    unit = FOLDER / "wavemill-worker@.service"
    assert value(unit, "IPAddressDeny") == "any"
    assert value(unit, "IPAddressAllow") == "localhost"


def test_no_two_units_serve_their_metrics_on_the_same_port() -> None:
    lines = [line for path in UNITS for line in values(path, "Environment")]
    ports = [port for line in lines for port in re.findall(r"METRICS_PORT=(\S+)", line)]
    # Ten media workers, 9110 to 9119, beside the monitor's own.
    assert sorted([*ports, str(Settings.model_fields["monitor_port"].default)]) == ["9107", "9108", "9109", "911%i"]
