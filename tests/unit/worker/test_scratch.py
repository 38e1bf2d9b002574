"""The scratch folder of a process: empty for each attempt, and gone with the process."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.worker import identity
from services.worker.scratch import Scratch


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def at_work(folder: Path) -> subprocess.Popen[bytes]:
    """Another process, with a file in its folder."""
    program = (
        "import asyncio, sys, time\n"
        "from pathlib import Path\n"
        "from services.worker.scratch import Scratch\n"
        "async def work():\n"
        "    async with Scratch(Path(sys.argv[1])).folder() as folder:\n"
        "        (folder / 'x.mp3').write_bytes(b'x')\n"
        "        print('works', flush=True)\n"
        "        time.sleep(60)\n"
        "asyncio.run(work())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"works\n"
    return process


async def test_each_attempt_finds_it_empty_and_of_this_process_alone(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    for _ in range(2):
        async with scratch.folder() as folder:
            assert names(folder) == set()
            assert folder.stat().st_mode & 0o777 == 0o700
            (folder / "artifacts").mkdir()
            (folder / "artifacts" / "x.mp3").write_bytes(b"x")
    assert files(tmp_path) == []


async def test_it_is_emptied_also_when_the_attempt_fails(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)

    async def attempt() -> None:
        async with scratch.folder() as folder:
            (folder / "x.mp3").write_bytes(b"x")
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the attempt's own
        await attempt()
    assert files(tmp_path) == []


async def test_a_process_that_ends_leaves_nothing(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    async with scratch.folder():
        pass
    scratch.leave()
    assert names(tmp_path) == set()


async def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    killed = at_work(tmp_path)
    scratch = Scratch(tmp_path)
    others = {"wavemill-elsewhere~1~1.00", "wavemill-music", "x~y~z"}
    for name in others:
        (tmp_path / name).mkdir()
    async with scratch.folder() as mine:
        assert mine.name == f"wavemill-{identity.host()}~{os.getpid()}~{psutil.Process().create_time():.2f}"
        scratch.clear_of_the_dead()
        assert files(tmp_path) == ["x.mp3"], "it lives"
        killed.kill()
        killed.communicate()
        scratch.clear_of_the_dead()
        assert files(tmp_path) == []
        assert names(tmp_path) == {mine.name, *others}
