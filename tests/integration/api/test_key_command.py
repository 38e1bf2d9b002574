"""`make key`, and the first key that `python -m shared.store.migrate --first-key` makes."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.key_secrets import digest_of, is_secret, new_secret
from shared.schema.keys import KeyView, Scope
from shared.settings import Settings
from shared.store.api_keys import ApiKeys
from shared.store.database import Database
from tests.guide_pages import examples, run_shell
from tests.integration.api.keyed import Keyed
from tests.programs import program
from tests.system import ROOT


def _run(module: str, url: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _make(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run("services.api.access.cli", url, *arguments)


async def _keys(url: str) -> list[KeyView]:
    database = Database.from_settings(Settings.model_validate({"database_url": url}))
    found = await ApiKeys(database).all()
    await database.close()
    return list(found)


async def _found(url: str, secret: str) -> KeyView | None:
    database = Database.from_settings(Settings.model_validate({"database_url": url}))
    found = await ApiKeys(database).find(digest_of(secret))
    await database.close()
    return None if found is None else found.key


async def test_it_prints_the_secret_and_nothing_else_where_a_program_reads(postgres_url: str) -> None:
    made = _make(postgres_url, "--name", "podcast site", "--expires", "30d", "--max-running-jobs", "4")
    assert made.returncode == 0, made.stderr
    secret = made.stdout.strip()
    assert is_secret(secret)
    assert secret not in made.stderr
    key = await _found(postgres_url, secret)
    assert key is not None
    assert (key.name, key.scopes, key.limits.max_running_jobs) == ("podcast site", (Scope.SUBMIT, Scope.READ), 4)
    assert key.expires_at is not None
    assert abs(key.expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=5)


async def test_the_examples_of_the_page_on_keys(keyed: Keyed) -> None:
    program("make")
    # The same command, here and not in a container.
    script, containers = re.subn(r"docker compose exec api python\b", sys.executable, examples("docs/keys.md"))
    assert containers == 1
    async with keyed.client() as administrator:
        before = {key["id"] for key in (await administrator.get("/api/keys")).json()["keys"]}
        run_shell(script, ROOT, keyed.system.client.base_url, keyed.system.environment)
        made = [key for key in (await administrator.get("/api/keys")).json()["keys"] if key["id"] not in before]
    assert [(key["name"], key["scopes"], key["limits"]["max_running_jobs"]) for key in made] == [
        ("podcast site", ["submit", "read"], None),
        ("auditor", ["read"], None),
        ("operator", ["submit", "read", "admin"], None),
        ("podcast site", ["submit", "read"], 4),
        ("podcast site", ["submit", "read"], 4),
    ]
    assert [key["expires_at"] is None for key in made] == [True, False, True, True, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", ""), "name"),
        (("--name", "a", "--scopes", "root"), "'root' is not a valid Scope"),
        (("--name", "a", "--expires", "soon"), "'soon' is no day"),
        (("--name", "a", "--burst", "0"), "burst"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = _make(f"sqlite:///{tmp_path / 'none.db'}", *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_without_tables_is_named(tmp_path: Path) -> None:
    done = _make(f"sqlite:///{tmp_path / 'empty.db'}", "--name", "a")
    assert done.returncode == 1
    assert "make migrate" in done.stderr
    assert "Traceback" not in done.stderr


async def test_the_first_key_is_made_where_there_is_none_and_never_was(sqlite_url: str) -> None:
    migrate = "shared.store.migrate"
    assert _run(migrate, sqlite_url, "--first-key").returncode == 0
    assert await _keys(sqlite_url) == []
    bad = _run(migrate, sqlite_url, "--first-key", WAVEMILL_BOOTSTRAP_KEY="secret")
    assert bad.returncode == 1
    assert "WAVEMILL_BOOTSTRAP_KEY is not usable" in bad.stderr
    first, second = new_secret(), new_secret()
    # A setting alone makes no key: `.env` is read by `make run` as well.
    assert _run(migrate, sqlite_url, WAVEMILL_BOOTSTRAP_KEY=first).returncode == 0
    assert await _keys(sqlite_url) == []
    for secret in (first, first, second):
        assert _run(migrate, sqlite_url, "--first-key", WAVEMILL_BOOTSTRAP_KEY=secret).returncode == 0
    (key,) = await _keys(sqlite_url)
    assert set(key.scopes) == set(Scope)
    assert await _found(sqlite_url, first) == key
    assert await _found(sqlite_url, second) is None
