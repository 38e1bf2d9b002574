"""Settings: names, defaults, and what a bad value says."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import Settings, variable_name

ROOT = Path(__file__).resolve().parents[3]


def test_the_names_that_operators_know() -> None:
    names = {field: variable_name(field) for field in Settings.model_fields}
    assert names["database_url"] == "DATABASE_URL"
    assert [names[f"redis_{part}"] for part in ("host", "port", "db", "password")] == [
        "REDIS_HOST",
        "REDIS_PORT",
        "REDIS_DB",
        "REDIS_PASSWORD",
    ]
    assert names["lease_seconds"] == "WAVEMILL_LEASE_SECONDS"


def test_redis_is_on_localhost_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().redis_url == "redis://localhost:6379/0"
    for name, value in {"HOST": "cache", "PORT": "7000", "DB": "3", "PASSWORD": "p@ss/word"}.items():
        monkeypatch.setenv(f"REDIS_{name}", value)
    assert Settings().redis_url == "redis://:p%40ss%2Fword@cache:7000/3"


def test_an_ipv6_redis_host_is_bracketed() -> None:
    assert Settings(redis_host="::1").redis_url == "redis://[::1]:6379/0"


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg"),
        ("sqlite:////tmp/x.db", "sqlite+aiosqlite"),
    ],
)
def test_the_async_driver_is_chosen(given: str, driver: str) -> None:
    assert Settings(database_url=given).sqlalchemy_url.drivername == driver


def test_the_embedded_defaults_are_in_the_data_folder(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert settings.sqlalchemy_url.database == str(tmp_path / "wavemill.db")
    assert settings.blobs_url == (tmp_path / "blobs").as_uri()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REDIS_PORT", "seven", "REDIS_PORT"),
        ("REDIS_PORT", "70000", "REDIS_PORT"),
        ("DATABASE_URL", "mysql://u:secret@h/d", "DATABASE_URL"),
        ("DATABASE_URL", "secret@nowhere", "DATABASE_URL"),
        ("WAVEMILL_LEASE_SECONDS", "-1", "WAVEMILL_LEASE_SECONDS"),
        ("WAVEMILL_BLOB_URL", "ftp://secret", "WAVEMILL_BLOB_URL"),
        ("WAVEMILL_TASK_TIME_LIMIT_SECONDS", "10000", "WAVEMILL_VISIBILITY_TIMEOUT_SECONDS"),
        ("WAVEMILL_HEARTBEAT_SECONDS", "29", "WAVEMILL_LEASE_SECONDS"),
        ("WAVEMILL_ADMIN_KEY", "secret", "WAVEMILL_ADMIN_KEY"),
    ],
)
def test_a_bad_value_ends_the_start_with_a_sentence_that_names_it(variable: str, value: str, said: str) -> None:
    started = subprocess.run(
        [sys.executable, "-c", "from shared.settings import settings; settings()"],
        cwd=ROOT,
        env={variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert said in started.stderr
    assert "Traceback" not in started.stderr
    assert "secret" not in started.stderr
    assert started.stderr.strip().endswith(".")
