"""Who holds a lease: a process of a host, named so that another process of that host can tell whether it lives."""

import os
import socket
from contextlib import suppress
from functools import cache

import psutil


def host() -> str:
    """This host's name; a container and a pod have one of their own."""
    return socket.gethostname()


def _name_of(process: psutil.Process) -> str:
    return f"{host()}/{process.pid}/{process.create_time():.2f}"


@cache
def _name_of_pid(pid: int) -> str:
    return _name_of(psutil.Process(pid))


def process_name() -> str:
    """This process: host, process id and start time, since process ids are used again."""
    return _name_of_pid(os.getpid())


def family_names() -> list[str]:
    """This process and its children: who holds the leases of a worker whose parent this is."""
    names = [process_name()]
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            names.append(_name_of(child))
    return names


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
