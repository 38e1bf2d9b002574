"""Who holds a lease: a process of a host, named so that another process of that host can tell whether it lives."""

import os
import socket
from functools import cache

import psutil


def host() -> str:
    """This host's name; a container and a pod have one of their own."""
    return socket.gethostname()


@cache
def _name_of(pid: int) -> str:
    return f"{host()}/{pid}/{psutil.Process(pid).create_time():.2f}"


def process_name() -> str:
    """This process: host, process id and start time, since process ids are used again."""
    return _name_of(os.getpid())


def is_gone(name: str) -> bool:
    """Whether a process of this host, by its name, has ended. Of another host's process nothing is known: False."""
    owner, pid, started = name.rsplit("/", 2)
    if owner != host():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
