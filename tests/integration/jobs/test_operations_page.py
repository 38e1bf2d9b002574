"""docs/operations.md: its examples as they stand, and those of the catalogue, against real processes."""

import re
import subprocess
from pathlib import Path

from tests.audio_files import noise
from tests.programs import program
from tests.system import ROOT, System

# What the examples send.
FILES = ("talk.mp3", "talk.wav", "song.flac", "chapter.mp3", "jingle.wav", "one.wav", "two.wav", "three.wav")
_PARTS = {"part-2": "two.wav", "part-3": "three.wav", "jingle": "jingle.wav"}


def test_the_examples_run_as_they_stand(system: System, tmp_path: Path) -> None:
    program("curl")
    system.start()
    folder = tmp_path / "reader"
    folder.mkdir()
    for number, name in enumerate(FILES):
        noise(folder / name, seconds=4 + number / 4, arguments=("-metadata", "title=Rain"))
    page = (ROOT / "docs" / "operations.md").read_text()
    script = "".join(re.findall(r"```sh\n(.*?)```", page, re.DOTALL))
    # Every HTTP error is to end the script, and the API is on another port here.
    script, ports = re.subn(r"http://127\.0\.0\.1:8000", str(system.client.base_url), script)
    script, curls = re.subn(r"\bcurl -sS", "curl --fail-with-body -sS", script)
    assert ports == 1
    ran = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    jobs = [system.finished(job["id"]) for job in system.client.get("/api/jobs?limit=100").json()["jobs"]]
    # One call is upload's own.
    assert len(jobs) == curls - 1
    assert {job["error_message"] for job in jobs} == {None}
    assert all(job["results"] for job in jobs)


def test_the_examples_of_the_catalogue_are_done(system: System, tmp_path: Path) -> None:
    system.start()
    catalogue = system.client.get("/api/operations").json()
    uploads = {}
    for name in {"one.wav", *_PARTS.values()}:
        file = noise(tmp_path / name, seconds=14)
        answer = system.client.post("/api/uploads", files={"file": (name, file.read_bytes())})
        uploads[name] = {"id": answer.json()["id"]}
    # One job has up to eight chains of edits.
    edited = [
        {"op": "loudness", "name": entry["edit"].replace("_", "-"), "edits": [entry["example"]]}
        for entry in catalogue["edits"]
    ]
    for operations in ([entry["example"] for entry in catalogue["operations"]], edited[:5], edited[5:]):
        needed = {name for name in _PARTS if f'"{name}"' in str(operations).replace("'", '"')}
        body = {
            "input": uploads["one.wav"],
            "inputs": {name: uploads[_PARTS[name]] for name in sorted(needed)},
            "operations": operations,
        }
        answer = system.client.post("/api/jobs", json=body)
        assert answer.status_code == 202, answer.text
        job = system.finished(answer.json()["id"])
        assert job["error_message"] is None
        assert len(job["results"]) == len(operations)
