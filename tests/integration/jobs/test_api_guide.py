"""docs/api.md: its examples as they stand, and the README's tour by the generated client, against real processes."""

import re
import subprocess
import sys
from pathlib import Path

from deploy.client.generation import PACKAGE, generate
from tests.audio_files import ffmpeg
from tests.programs import program
from tests.system import ROOT, System


def _blocks(language: str) -> str:
    page = (ROOT / "docs" / "api.md").read_text()
    return "".join(re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL))


def _run(arguments: list[str], folder: Path) -> str:
    ran = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_examples_run_as_they_stand(system: System, tmp_path: Path) -> None:
    program("curl")
    system.start()
    folder = tmp_path / "reader"
    folder.mkdir()
    # Every HTTP error is to end the script, and the API is on another port here.
    script, ports = re.subn(r"http://127\.0\.0\.1:8000", str(system.client.base_url), _blocks("sh"))
    script, curls = re.subn(r"\bcurl -sS", "curl --fail-with-body -sS", script)
    assert (ports, curls) == (1, 15)
    said = _run(["bash", "-euxo", "pipefail", "-c", script], folder)
    assert "event: status" in said
    ffmpeg("-i", folder / "tone.opus", "-f", "null", "-")

    tour = folder / "tour.py"
    tour.write_text(_blocks("python"))
    generate(folder)
    # Typed: the tour, and all of the client that it was generated with.
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(folder / "cache")]
    _run([*mypy, "tour.py", PACKAGE], folder)
    said = _run([sys.executable, "tour.py", str(system.client.base_url)], folder)
    assert re.match(r"-\d+\.\d+ LUFS\n\d+ operations\n", said)
    ffmpeg("-i", folder / "client.opus", "-f", "null", "-")
