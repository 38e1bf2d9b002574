"""What the services say of a run, for everybody who reads logs: nothing that is nobody's business."""

import asyncio
import json
import secrets
from pathlib import Path
from urllib.parse import quote

from deploy.local.servers import PostgresServer, RedisServer
from shared.key_secrets import MARK, digest_of, new_secret
from shared.schema.keys import Scope
from shared.settings import Settings
from shared.store.api_keys import ApiKeys
from shared.store.database import Database
from tests.audio_files import noise
from tests.conftest import migrate
from tests.system import System

# No part of them is a word that a program would say by itself; a URL would hold the last one's signs in another form.
DATABASE_PASSWORD = f"db-{secrets.token_hex(12)}"
REDIS_PASSWORD = f"redis-{secrets.token_hex(12)}-p@ss"
FILE_NAME = f"letter-{secrets.token_hex(6)}"
CONTENT = secrets.token_hex(2000)
API_SECRET = new_secret()
TITLE = f"title-{secrets.token_hex(8)}"


def said(system: System, *secret: str) -> list[str]:
    """The lines in which one of the secrets is."""
    return [line for line in system.log().splitlines() if any(each in line for each in secret)]


async def _make_key(url: str) -> str:
    database = Database.from_settings(Settings.model_validate({"database_url": url}))
    key = await ApiKeys(database).create(API_SECRET, name="test", scopes=[Scope.SUBMIT, Scope.READ])
    await database.close()
    return str(key.id)


def test_logs_hold_no_password_no_content_and_no_file_name(tmp_path: Path) -> None:
    audio = noise(tmp_path / "noise.mp3", seconds=1, arguments=("-metadata", f"title={TITLE}"))
    with (
        PostgresServer(password=DATABASE_PASSWORD) as postgres,
        RedisServer(password=REDIS_PASSWORD) as redis,
        System(tmp_path / "system", database_url=postgres.url, redis=redis, log_level="debug") as system,
    ):
        migrate(postgres.url)
        key_id = asyncio.run(_make_key(postgres.url))
        system.client.headers["Authorization"] = f"Bearer {API_SECRET}"
        system.start(concurrency=1)
        done = system.finished(system.submit(audio, {"op": "probe"}, filename=f"{FILE_NAME}.mp3")["id"])
        assert done["results"]["probe"]["tags"]["title"] == TITLE
        bad = system.finished(system.submit(CONTENT.encode(), {"op": "probe"}, filename=f"{FILE_NAME}.wav")["id"])
        assert bad["status"] == "failed"
        # Refused, malformed, and with a store that goes away: errors are what tends to say too much.
        spec = json.dumps({"operations": [{"op": CONTENT[:100]}]})
        refused = system.client.post("/api/jobs", data={"spec": spec}, files={"file": (f"{FILE_NAME}.wav", b"x")})
        assert refused.status_code == 422
        redis.stop()
        assert system.client.post("/api/uploads", files={"file": (FILE_NAME, CONTENT.encode())}).status_code == 201
        system.submit(audio, {"op": "probe"}, filename=FILE_NAME)
        postgres.stop()
        assert system.client.get("/api/jobs").status_code == 503
        system.stop()
        lines = list(system.log_lines())
        assert {line["service"] for line in lines} == {"api", "worker", "monitor"}
        # The run is in the log: what is looked for would be found there.
        assert said(system, bad["id"])
        assert any(line["service"] == "api" and line.get("key_id") == key_id for line in lines)
        assert said(system, API_SECRET, API_SECRET.removeprefix(MARK), digest_of(API_SECRET)) == []
        assert said(system, DATABASE_PASSWORD, REDIS_PASSWORD, quote(REDIS_PASSWORD, safe="")) == []
        assert said(system, FILE_NAME, TITLE, *(CONTENT[start : start + 24] for start in range(0, 4000, 24))) == []
