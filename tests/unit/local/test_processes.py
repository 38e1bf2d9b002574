"""A child process ends with all of its group, in order, by force, and when its owner is killed."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from deploy.local.processes import ChildProcess, free_port, port_is_free
from tests.unit.local.watching import alive, until

CHECKOUT = Path(__file__).parents[3]
# Prints the process ids of two children that end on SIGTERM, then waits.
TWO_CHILDREN = "sleep 300 & echo $!; sleep 300 & echo $!; echo ready; "


class Lines(list[str]):
    def pids(self) -> list[int]:
        until(lambda: "ready" in self)
        return [int(line) for line in self if line.isdecimal()]


def started(script: str, *, stop_seconds: float = 10) -> tuple[ChildProcess, Lines]:
    lines = Lines()
    child = ChildProcess("child", ["sh", "-c", script], sink=lines.append, stop_seconds=stop_seconds)
    child.start()
    return child, lines


def test_stop_ends_the_whole_group() -> None:
    child, lines = started(TWO_CHILDREN + "wait")
    pids = lines.pids()
    assert len(pids) == 2
    assert child.stop()
    assert child.exit_code == -signal.SIGTERM
    until(lambda: not any(map(alive, pids)))


def test_the_stop_signal_goes_to_the_leader_alone() -> None:
    child, lines = started("trap 'sleep 2; exit 7' TERM; " + TWO_CHILDREN + "wait")
    pids = lines.pids()
    child.ask_to_stop()
    time.sleep(0.5)
    assert all(map(alive, pids))
    assert child.stop()
    assert child.exit_code == 7


def test_a_leader_that_does_not_end_is_killed() -> None:
    child, lines = started("trap '' TERM; " + TWO_CHILDREN + "wait; wait", stop_seconds=0.3)
    pids = lines.pids()
    assert not child.stop()
    assert child.exit_code == -signal.SIGKILL
    until(lambda: not any(map(alive, pids)))


def test_what_a_dead_leader_left_behind_is_killed() -> None:
    child, lines = started(TWO_CHILDREN + "exit 3")
    pids = lines.pids()
    until(lambda: not child.running)
    assert child.stop()
    assert child.exit_code == 3
    until(lambda: not any(map(alive, pids)))


def test_a_paused_process_hears_that_it_shall_stop() -> None:
    child, lines = started("trap 'exit 5' TERM; " + TWO_CHILDREN + "wait")
    lines.pids()
    child.pause()
    until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
    assert child.stop()
    assert child.exit_code == 5


def test_the_last_lines_of_both_streams_are_kept() -> None:
    child = ChildProcess("child", ["sh", "-c", "echo one; echo two >&2; exit 1"])
    child.start()
    until(lambda: not child.running)
    assert child.last_lines() == "one\ntwo"
    child.stop()


def test_a_child_reads_its_standard_input_and_its_end() -> None:
    child = ChildProcess("child", ["cat"], standard_input="a line\n")
    child.start()
    until(lambda: not child.running)
    assert child.last_lines() == "a line"
    child.stop()


OWNER = """
import sys, time
from deploy.local.processes import ChildProcess
script = "trap '' TERM; sleep 300 & echo $!; sleep 300 & echo $!; echo $$; echo ready; wait; wait"
ChildProcess("kept", ["sh", "-c", script], sink=lambda line: print(line, flush=True)).start()
time.sleep(300)
"""


def test_killing_the_owner_ends_the_group_of_its_child() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pids = [int(line) for line in iter(owner.stdout.readline, "ready\n")]
    assert len(pids) == 3
    assert all(map(alive, pids))
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: not any(map(alive, pids)))


def test_children_may_be_started_from_any_thread() -> None:
    children: list[ChildProcess] = []
    thread = threading.Thread(target=lambda: children.append(started("sleep 300")[0]))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert children[0].running
    children[0].stop()


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not port_is_free(listener.getsockname()[1])


def test_a_port_whose_last_connection_waits_out_its_time_is_free() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        client = socket.create_connection(("127.0.0.1", port))
        served, _ = listener.accept()
        served.close()  # closed first by the server: TIME_WAIT stays on its side
        assert client.recv(1) == b""
        client.close()
    assert port_is_free(port)


def test_a_port_is_not_chosen_again_before_its_server_may_have_started() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == len(ports)


def test_a_process_beside_this_one_chooses_other_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    for pid in (1000, 1001):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        chosen.append({free_port() for _ in range(300)})
    assert chosen[0].isdisjoint(chosen[1])


@pytest.mark.parametrize("_round", range(5))
def test_a_free_port_can_be_listened_on(_round: int) -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass
