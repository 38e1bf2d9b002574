"""`make run`: Wavemill on this machine until Ctrl-C; `make up-monitoring`: the same, watched by a Prometheus."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from types import FrameType

from deploy.local.errors import LocalError, StackError
from deploy.local.processes import LOCALHOST, free_port, port_is_free
from deploy.local.redis_check import check_redis
from deploy.local.servers import RedisServer
from deploy.local.stack import Plan, Stack, StopRequested, folder_to_oneself
from deploy.local.watch import Watch
from shared.settings import Settings, settings

# One Ctrl-C can arrive more than once: from the terminal, and passed on by `make` or `uv run`.
SAME_KEYPRESS_SECONDS = 0.5
LOCAL_SOFT_SHUTDOWN_SECONDS = 5.0
_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")


class PrefixedLog:
    """Prints each line with the name of its service before it, in a colour of its own on a terminal."""

    def __init__(self) -> None:
        self._colours = cycle(_COLOURS)
        self._prefixes: dict[str, str] = {}
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()

    def __call__(self, service: str, line: str) -> None:
        """Print a line."""
        with self._lock:
            if service not in self._prefixes:
                name = f"{service:<8} |"
                self._prefixes[service] = f"\x1b[{next(self._colours)}m{name}\x1b[0m" if self._coloured else name
            print(f"{self._prefixes[service]} {line}", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0 when the user ended it, 1 when something did not start or ended by itself."""
    configured = settings()
    log = PrefixedLog()
    with contextlib.ExitStack() as held:
        try:
            plan = _plan(configured, os.environ, log)
            if plan.redis is not None:
                held.enter_context(folder_to_oneself(configured.data_dir.resolve()))
            watch = Watch(plan, configured, os.environ, log) if "--monitoring" in arguments else None
            stack = Stack(watch.plan if watch else plan, log)
            _stop_on_signals(stack)
            with stack, watch or contextlib.nullcontext():
                _say_where(plan, configured)
                if watch is not None:
                    watch.say_where()
                stack.wait()
        except StopRequested:
            print("Wavemill has ended.", flush=True)
            return 0
        except LocalError as error:
            print(error, file=sys.stderr, flush=True)
            return 1
    return 0


def _plan(configured: Settings, environment: Mapping[str, str], log: PrefixedLog) -> Plan:
    """What the settings ask for.

    Raises:
        StackError: a port is taken, or WORKERS is no number.
        RedisUnreachable: a Redis is named and does not answer.
        ServerError: there is no redis-server.
    """
    _check_port(configured.api_port, "WAVEMILL_API_PORT", configured.api_host)
    _check_port(configured.monitor_port, "WAVEMILL_MONITOR_PORT", configured.monitor_host)
    workers = environment.get("WORKERS") or "1"
    if not workers.isdecimal() or not 1 <= int(workers) <= 64:
        raise StackError(f"WORKERS is the number of workers, 1 to 64, not {workers!r}.")
    soft_shutdown = LOCAL_SOFT_SHUTDOWN_SECONDS
    if "worker_soft_shutdown_seconds" in configured.model_fields_set:
        soft_shutdown = configured.worker_soft_shutdown_seconds
    return Plan(
        environment={
            **environment,
            "WAVEMILL_DATA_DIR": str(configured.data_dir.resolve()),
            "WAVEMILL_LOG_FORMAT": "console",
            "WAVEMILL_WORKER_SOFT_SHUTDOWN_SECONDS": str(soft_shutdown),
            "PYTHONUNBUFFERED": "1",
        },
        redis=_private_redis(configured, log),
        api_host=configured.api_host,
        api_port=configured.api_port,
        monitor_host=configured.monitor_host,
        monitor_port=configured.monitor_port,
        workers=int(workers),
        concurrency=configured.worker_concurrency,
        worker_stop_seconds=soft_shutdown + 5,
        api_metrics_port=configured.api_metrics_port,
        worker_metrics_port=configured.worker_metrics_port,
    )


def _private_redis(configured: Settings, log: PrefixedLog) -> RedisServer | None:
    """A Redis of this run's own; None where REDIS_HOST names one, which answers."""
    if "redis_host" in configured.model_fields_set:
        check_redis(configured)
        return None
    port = configured.redis_port
    if "redis_port" in configured.model_fields_set:
        _check_port(port, "REDIS_PORT", LOCALHOST)
    elif not port_is_free(port):
        # Somebody else's Redis, most likely, and none of ours.
        port = free_port()
    return RedisServer(
        configured.data_dir.resolve() / "redis",
        port=port,
        password=configured.redis_password.get_secret_value() if configured.redis_password else None,
        append_only=True,
        sink=lambda line: log("redis", line),
    )


def _check_port(port: int, variable: str, host: str) -> None:
    if not port_is_free(port, host):
        raise StackError(
            f"Port {port} is taken by another program; set {variable} to a free one, "
            f"as in `{variable}={port + 1} make run`."
        )


def _stop_on_signals(stack: Stack) -> None:
    last = -SAME_KEYPRESS_SECONDS

    def request_stop(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        if time.monotonic() - last >= SAME_KEYPRESS_SECONDS:
            last = time.monotonic()
            stack.request_stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, request_stop)


def _say_where(plan: Plan, configured: Settings) -> None:
    print(
        f"\nWavemill is ready. End it with Ctrl-C.\n"
        f"  API       {plan.api_url}/api\n"
        f"  its docs  {plan.api_url}/docs\n"
        f"  monitor   {plan.monitor_url}/ and {plan.monitor_url}/metrics\n"
        f"  data      {_shown(configured.data_dir)}\n",
        flush=True,
    )


def _shown(folder: Path) -> str:
    return f"{folder}/"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
