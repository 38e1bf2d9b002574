"""`make env` writes .env once, for its owner's eyes."""

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.compose.environment import SECRETS, missing, write
from shared.key_secrets import is_secret
from tests.system import ROOT


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.compose.environment"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_writes_random_values_that_nobody_else_can_read(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        assert make_env(folder).returncode == 0
    path = tmp_path / ".env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    values = dict(re.findall(r"^(\w+)=(.*)$", path.read_text(), re.MULTILINE))
    assert set(values) == set(SECRETS)
    # 64 bits at the least, and no character that a URL or a shell would read as its own.
    assert all(re.fullmatch(r"[0-9a-f]{16,}|wm_[\w-]{43}", value) for value in values.values())
    assert is_secret(values["WAVEMILL_BOOTSTRAP_KEY"])
    assert not set(values.values()) & set(re.findall(r"=(.*)$", (tmp_path / "other/.env").read_text(), re.MULTILINE))


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("POSTGRES_PASSWORD=mine\n")
    done = make_env(tmp_path)
    assert path.read_text() == "POSTGRES_PASSWORD=mine\n"
    assert done.returncode == 1
    assert "lacks REDIS_PASSWORD" in done.stderr
    with pytest.raises(FileExistsError):
        write(path)


def test_a_file_with_every_secret_is_well(tmp_path: Path) -> None:
    write(tmp_path / ".env")
    done = make_env(tmp_path)
    assert done.returncode == 0
    assert "stays as it is" in done.stdout


def test_an_empty_value_and_a_comment_are_no_secrets(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# FLOWER_PASSWORD=x\nREDIS_PASSWORD=\nexport GRAFANA_PASSWORD=y\n")
    assert set(missing(path)) == set(SECRETS) - {"GRAFANA_PASSWORD"}


def test_every_secret_that_the_compose_file_asks_for_is_made() -> None:
    asked = set(re.findall(r"\$\{(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert asked == set(SECRETS)
