"""The README's curl examples, run as they stand."""

import json
import re
from pathlib import Path

from tests.audio_files import ffmpeg
from tests.guide_pages import run_shell
from tests.system import ROOT, System


def test_the_curl_examples_run_as_they_stand(system: System, tmp_path: Path) -> None:
    system.start()
    readme = (ROOT / "README.md").read_text()
    section = readme[readme.index("## Try it with curl") :]
    found = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert found is not None
    folder = tmp_path / "reader"
    folder.mkdir()
    said = run_shell(found[1], folder, system.client.base_url)
    job = system.job(json.loads((folder / "job.json").read_text())["id"])
    assert job["status"] == "succeeded"
    assert "event: status" in said
    ffmpeg("-i", folder / "tone.opus", "-f", "null", "-")
