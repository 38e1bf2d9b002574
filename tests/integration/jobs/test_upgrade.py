"""An upgrade while running: the database is migrated under old workers, and a new API works beside the old one."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import asyncpg

from deploy.local.servers import RedisServer
from tests.audio_files import noise
from tests.system import ROOT, TERMINAL, System

_MIGRATION = '''
"""What the next version adds."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("note", sa.Text(), nullable=True))
'''
_COLUMN = 'Column("traceparent", Text),'


def next_version(folder: Path) -> Path:
    """A checkout whose tables have a column more, and a migration that adds it."""
    for name in ("shared", "services"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    tables = folder / "shared/store/tables/jobs.py"
    text = tables.read_text()
    assert _COLUMN in text
    tables.write_text(text.replace(_COLUMN, f'{_COLUMN}\n    Column("note", Text),', 1))
    versions = folder / "shared/store/migrations/versions"
    head = max(path.name for path in versions.glob("[0-9]*.py")).partition("_")[0]
    (versions / "next_note.py").write_text(_MIGRATION.format(head=head))
    return folder


async def columns(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs'")
    finally:
        await connection.close()
    return {row["column_name"] for row in found}


def test_old_workers_go_on_beside_a_new_api(
    tmp_path: Path, postgres_url: str, redis_server: RedisServer, redis: object
) -> None:
    checkout = next_version(tmp_path / "checkout")
    audio = noise(tmp_path / "noise.wav", seconds=120)
    operations = ({"op": "normalize"}, {"op": "transcode", "format": "opus"})
    with (
        System(tmp_path / "old", database_url=postgres_url, redis=redis_server) as old,
        System(
            tmp_path / "new",
            database_url=postgres_url,
            redis=redis_server,
            checkout=checkout,
            data_dir=tmp_path / "old" / "data",
        ) as new,
    ):
        old.start(concurrency=1)
        before = [old.submit(audio, *operations)["id"] for _ in range(4)]
        old.wait_until(before[0], lambda job: job["status"] == "running")

        environment = {**os.environ, "DATABASE_URL": postgres_url}
        command = [sys.executable, "-m", "shared.store.migrate"]
        subprocess.run(command, cwd=checkout, env=environment, check=True)
        assert "note" in asyncio.run(columns(postgres_url))
        # The migration came in the midst of the work, or this shows nothing.
        assert old.job(before[-1])["status"] not in TERMINAL

        new.start_api()
        by_new = new.submit(audio, *operations)["id"]
        by_old = old.submit(audio, *operations)["id"]
        for job_id in (*before, by_new, by_old):
            job = new.finished(job_id)
            assert job["status"] == "succeeded"
            assert [attempt["outcome"] for attempt in job["attempts"]] == ["succeeded"]
            assert old.job(job_id)["status"] == "succeeded"
            for artifact in job["artifacts"]:
                assert new.artifact(job, artifact["name"]) == old.artifact(job, artifact["name"]) != b""
