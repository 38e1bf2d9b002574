"""Whether the holder of a lease still lives."""

import os
import subprocess
import sys

import psutil

from services.worker import identity


def name_of(pid: int) -> str:
    return f"{identity.host()}/{pid}/{psutil.Process(pid).create_time():.2f}"


def test_this_process_lives() -> None:
    assert identity.process_name() == name_of(os.getpid())
    assert not identity.is_gone(identity.process_name())


def test_a_killed_process_is_gone_also_before_its_parent_has_noticed() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = name_of(process.pid)
    assert not identity.is_gone(name)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert identity.is_gone(name), "a zombie"
    process.communicate()
    assert identity.is_gone(name)


def test_another_process_with_the_same_id_is_not_the_holder() -> None:
    assert identity.is_gone(f"{identity.host()}/{os.getpid()}/1.00")


def test_nothing_is_known_of_another_hosts_processes() -> None:
    assert not identity.is_gone("elsewhere/1/1.00")
