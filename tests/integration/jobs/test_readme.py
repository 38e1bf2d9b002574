"""The README's curl examples, run as they stand."""

import json
import re
import subprocess
from pathlib import Path

from tests.audio_files import ffmpeg
from tests.programs import program
from tests.system import ROOT, System


def test_the_curl_examples_run_as_they_stand(system: System, tmp_path: Path) -> None:
    program("curl")
    system.start()
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## Try it with curl") :]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    # Every HTTP error is to end the script, and the API is on another port here.
    script, ports = re.subn(r"127\.0\.0\.1:8000", f"127.0.0.1:{system.api_port}", found[1])
    script, curls = re.subn(r"\bcurl -sS", "curl --fail-with-body -sS", script)
    assert (ports, curls) == (1, 7)
    folder = tmp_path / "reader"
    folder.mkdir()
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    job = system.job(json.loads((folder / "job.json").read_text())["id"])
    assert job["status"] == "succeeded"
    assert "event: status" in ran.stdout
    ffmpeg("-i", folder / "tone.opus", "-f", "null", "-")
