"""Real Redis and PostgreSQL servers as child processes, for `make run` and for the tests.

Each listens on a port of 127.0.0.1 only, keeps its data in one folder, and is a context manager:

    with RedisServer(folder, append_only=True) as redis, PostgresServer() as postgres:
        ... redis.url, postgres.url ...
"""

import contextlib
import os
import secrets
import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.errors import ServerError
from deploy.local.processes import LOCALHOST, ChildProcess, LineSink, free_port
from deploy.local.programs import copy_wheel, find_postgres, find_redis
from deploy.local.unprivileged import UnprivilegedUser

START_SECONDS = 60.0
NO_RETRY = Retry(NoBackoff(), 0)


class Server(ABC):
    """What they have in common: a folder, a port, a process, and a wait until it answers."""

    title: str

    def __init__(self, folder: Path | None, port: int | None) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="wavemill-")) if folder is None else folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.process: ChildProcess | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it, password included."""

    @abstractmethod
    def _new_process(self) -> ChildProcess:
        """The process, not started."""

    @abstractmethod
    def _is_ready(self, process: ChildProcess) -> bool:
        """Whether it answers."""

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ServerError: it ended or did not answer in time.
        """
        process = self._new_process()
        process.start()
        self.process = process
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready(process):
            if not process.running or time.monotonic() > deadline:
                process.kill()
                raise ServerError(f"{self.title} did not start on port {self.port}:\n{process.last_lines()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it in an orderly way; its data stays. By force when it takes too long."""
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        """End it as `kill -9` does; its data stays as it was on disk."""
        if self.process is not None:
            self.process.kill()

    def close(self) -> None:
        """Stop it for good; a temporary folder is removed."""
        self.stop()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class RedisServer(Server):
    """A Redis server."""

    title = "Redis"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        password: str | None = None,
        append_only: bool = False,
        program: Path | None = None,
        sink: LineSink | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: for its data; a temporary one, removed by `close`, when None.
            port: a free one when None; the same over restarts.
            password: none is asked for when None.
            append_only: write each command to a log, which a restart reads; otherwise a restart is empty.
            program: `find_redis()` when None.
            sink: gets each line of its log.

        Raises:
            ServerError: there is no redis-server.
        """
        self._program = program or find_redis()
        super().__init__(folder, port)
        self.password = password
        self._append_only = append_only
        self._sink = sink

    @property
    def url(self) -> str:
        """Database 0 of the server."""
        credentials = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"redis://{credentials}{LOCALHOST}:{self.port}/0"

    @property
    def environment(self) -> dict[str, str]:
        """The settings that make a service use this server."""
        return {"REDIS_HOST": LOCALHOST, "REDIS_PORT": str(self.port), "REDIS_PASSWORD": self.password or ""}

    def pause(self) -> None:
        """Let it keep its connections and answer nothing, until `resume`."""
        if self.process is not None:
            self.process.pause()

    def resume(self) -> None:
        """Let a paused server go on."""
        if self.process is not None:
            self.process.resume()

    def restart(self, *, keep_data: bool = True) -> None:
        """Stop it and start it on the same port, with its append-only log or empty."""
        self.stop()
        if not keep_data:
            self.forget_data()
        self.start()

    def forget_data(self) -> None:
        """Remove what a stopped server would read at its next start."""
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
        for file in (*self.folder.glob("*.aof"), *self.folder.glob("*.rdb")):
            file.unlink(missing_ok=True)

    def _new_process(self) -> ChildProcess:
        options = {
            "bind": LOCALHOST,
            "port": str(self.port),
            "dir": _quoted(str(self.folder)),
            "appendonly": "yes" if self._append_only else "no",
            "save": '""',
            "daemonize": "no",
        }
        if self.password:
            options["requirepass"] = _quoted(self.password)
        return ChildProcess(
            "redis",
            # The options come by standard input: every user of the machine can read a command line.
            [self._program, "-"],
            standard_input="".join(f"{name} {value}\n" for name, value in options.items()),
            sink=self._sink,
        )

    def _is_ready(self, process: ChildProcess) -> bool:
        client = redis.Redis(host=LOCALHOST, port=self.port, password=self.password, socket_timeout=1, retry=NO_RETRY)
        with contextlib.closing(client), contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            # The process id tells it from another server on the same port.
            return bool(client.info("server")["process_id"] == process.pid)
        return False


class PostgresServer(Server):
    """A PostgreSQL server with one superuser, `wavemill`.

    PostgreSQL refuses to run as root: root runs it as `nobody`.
    """

    title = "PostgreSQL"
    user = "wavemill"

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port: int | None = None,
        password: str | None = None,
        fsync: bool = False,
        programs: Path | None = None,
        sink: LineSink | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            folder: for its data; a temporary one, removed by `close`, when None. As root, every folder above it
                must let other users pass, which pytest's `tmp_path` does not.
            port: a free one when None; the same over restarts.
            password: of the superuser; a random one when None. Needed to open a folder of an earlier server.
            fsync: survive a power cut; off is faster, and survives `kill -9` all the same.
            programs: folder of `postgres` and `initdb`; `find_postgres()` when None.
            sink: gets each line of its log.

        Raises:
            ServerError: there is no PostgreSQL, or it could not reach the folder.
        """
        self._programs = programs or find_postgres()
        self._identity = UnprivilegedUser.nobody() if os.geteuid() == 0 else None
        super().__init__(folder, port)
        self.password = password or secrets.token_urlsafe(16)
        self._fsync = fsync
        self._sink = sink
        self._data = self.folder / "postgres"

    @property
    def url(self) -> str:
        """DATABASE_URL of the database that a new server has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """DATABASE_URL of a database, which needs not be there yet."""
        return f"postgresql://{self.user}:{quote(self.password, safe='')}@{LOCALHOST}:{self.port}/{database}"

    def restart(self) -> None:
        """Stop it and start it on the same port, with its data."""
        self.stop()
        self.start()

    def start(self) -> None:
        """Start it and wait until it accepts connections; the first time its data folder is made.

        Raises:
            ServerError: it ended or did not answer in time, or the data folder could not be made.
        """
        if self._identity is not None:
            self._let_pass(self._identity)
        if not (self._data / "PG_VERSION").exists():
            self._make_data_folder()
        super().start()

    def _make_data_folder(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        password_file = self._data.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if self._identity is not None:
            os.chown(password_file, self._identity.uid, self._identity.gid)
            os.chown(self._data, self._identity.uid, self._identity.gid)
        command = [
            str(self._programs / "initdb"),
            f"--pgdata={self._data}",
            f"--username={self.user}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-instructions",
            *([] if self._fsync else ["--no-sync"]),
        ]
        initdb = ChildProcess(
            "initdb", command, environment=_plain_environment(), folder=self._data, user=self._identity
        )
        try:
            initdb.start()
            initdb.wait(START_SECONDS)
        finally:
            initdb.kill()
            password_file.unlink()
        if initdb.exit_code != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise ServerError(f"PostgreSQL could not make its data folder:\n{initdb.last_lines()}")

    def _let_pass(self, identity: UnprivilegedUser) -> None:
        if self._temporary:
            self.folder.chmod(0o755)
        if not identity.can_reach(self._data):
            raise ServerError(
                f"PostgreSQL cannot run as root, and another user cannot reach {self.folder}; "
                "give it a folder in which every user may pass."
            )
        if not identity.can_reach(self._programs / "postgres"):
            self._programs = copy_wheel(self._programs, self.folder / "programs")

    def _new_process(self) -> ChildProcess:
        settings = {
            "listen_addresses": LOCALHOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._fsync else "off",
            "full_page_writes": "on" if self._fsync else "off",
        }
        options = (f"--{name}={value}" for name, value in settings.items())
        return ChildProcess(
            "postgres",
            [str(self._programs / "postgres"), "-D", str(self._data), *options],
            environment=_plain_environment(),
            folder=self._data,
            user=self._identity,
            sink=self._sink,
            stop_signal=signal.SIGINT,  # the fast shutdown: it does not wait for clients to leave
        )

    def _is_ready(self, process: ChildProcess) -> bool:
        # As pg_ctl does: line 1 of the lock file is the process id, line 8 the state.
        with contextlib.suppress(FileNotFoundError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"
        return False


def _plain_environment() -> dict[str, str]:
    """No PGDATA, PGPORT or locale of the caller's."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _quoted(value: str) -> str:
    """A value of redis.conf."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
